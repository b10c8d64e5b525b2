import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { checkAddress, checkPath, hardwareAddress, namesOf, statePrefix } from "../../../../rehearsal/machines/names.js";

const name = fc.stringMatching(/^[a-z][a-z0-9-]{0,30}$/);

describe("names", () => {
  it("follow from the state folder and the machine's name", () => {
    expect(statePrefix("/srv/project/.holdfast")).toBe("0692");
    expect(namesOf("/srv/project/.holdfast", "alice")).toEqual({
      name: "alice", namespace: "hf-0692-alice", link: "hf0692-alice", folder: "/srv/project/.holdfast/machines/alice",
      hostFile: "/srv/project/.holdfast/machines/alice.json", generationFile: "/srv/project/.holdfast/machines/alice.generation",
    });
  });
  it("fit into a link's 15 characters, and into a host name's 64", () => {
    fc.assert(fc.property(name, (one) => {
      expect(namesOf("/state", one).link.length).toBeLessThanOrEqual(15);
      expect(namesOf("/state", one).namespace.length).toBeLessThanOrEqual(64);
    }));
  });
  it("differ for two machines, and for one name in two state folders", () => {
    fc.assert(fc.property(name, name, (one, other) => {
      fc.pre(one !== other);
      expect(namesOf("/state", one).link).not.toBe(namesOf("/state", other).link);
    }));
    expect(namesOf("/a", "alice").namespace).not.toBe(namesOf("/b", "alice").namespace);
  });
  it.each(["", "Alice", "1st", "a/b", "../x", "a b", "a".repeat(32)])("refuse %j as a machine's name", (bad) => {
    expect(() => namesOf("/state", bad)).toThrow("cannot be a machine's name");
  });
});

describe("addresses", () => {
  it.each(["10.231.0.2", "10.231.250.11", "10.231.255.254"])("accept %s", (address) => expect(() => checkAddress(address)).not.toThrow());
  it.each(["10.231.0.1", "10.231.0.0", "10.231.255.255", "10.230.0.2", "10.231.0", "10.231.0.256", "10.231.0.2/16", "10.231.0.1e1", "::1"])("refuse %s", (address) => {
    expect(() => checkAddress(address)).toThrow(`${address} cannot be a machine's address`);
  });
  it("give a locally administered hardware address that is the same every time", () => {
    expect(hardwareAddress("10.231.250.11")).toBe("02:68:0a:e7:fa:0b");
  });
});

describe("paths", () => {
  it.each(["/a:b", "/a,b", "/a\\b", "/a\nb"])("refuse %j, which mount options cannot carry", (path) => expect(() => checkPath(path)).toThrow("mount options"));
});
