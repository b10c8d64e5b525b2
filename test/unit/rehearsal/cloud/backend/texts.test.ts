import { describe, expect, it } from "vitest";
import { mountsOf, numberOf } from "../../../../../rehearsal/cloud/backend/devices.js";
import { CLOUD_RECIPE } from "../../../../../rehearsal/cloud/backend/image.js";
import { namesOfServer, placeOf } from "../../../../../rehearsal/cloud/backend/place.js";
import { identityFiles, seedFiles } from "../../../../../rehearsal/cloud/backend/seed.js";
import { connectCommands, openCommands, serverHardwareAddress, wallOf } from "../../../../../rehearsal/cloud/backend/wires.js";
import { namesOf } from "../../../../../rehearsal/machines/names.js";
import { RECIPE, recipeHash } from "../../../../../rehearsal/machines/recipe.js";

const place = placeOf({ cache: "/c", state: "/s", report: () => undefined });
const server = namesOfServer(place, 42);

describe("a server's seed", () => {
  const files = seedFiles({ id: 42, name: "alice", sshKeys: ["ssh-ed25519 AAAA me"], userData: "#cloud-config\n{}\n" });
  it("gives cloud-init the user's data as they are, and the project's keys", () => {
    expect(files["var/lib/cloud/seed/nocloud/user-data"]).toBe("#cloud-config\n{}\n");
    expect(JSON.parse(files["var/lib/cloud/seed/nocloud/meta-data"]!)).toEqual({ "instance-id": "42", "local-hostname": "alice", "public-keys": ["ssh-ed25519 AAAA me"] });
  });
  it("is there without user data too, because cloud-init wants all of its files", () => {
    expect(seedFiles({ id: 1, name: "a", sshKeys: [] })).toMatchObject({ "var/lib/cloud/seed/nocloud/user-data": "", "var/lib/cloud/seed/nocloud/vendor-data": "" });
  });
  it("goes on a disk with an id of its own", () => {
    expect(identityFiles("alice")["etc/machine-id"]).toMatch(/^[0-9a-f]{32}\n$/);
    expect(identityFiles("alice")["etc/machine-id"]).not.toBe(identityFiles("alice")["etc/machine-id"]);
  });
});

describe("the cloud's image", () => {
  it("is another than the machines' own, which keeps its hash", () => {
    expect(recipeHash(CLOUD_RECIPE, "x64")).not.toBe(recipeHash(RECIPE, "x64"));
    expect(CLOUD_RECIPE.packages).toEqual(expect.arrayContaining([...RECIPE.packages, "cloud-init"]));
  });
  it("looks for nothing on a network before it boots, and leaves addresses to the cloud", () => {
    expect(CLOUD_RECIPE.files["etc/cloud/cloud.cfg.d/90-rehearsal.cfg"]).toContain("datasource_list: [ NoCloud ]\nnetwork: { config: disabled }\n");
    expect(CLOUD_RECIPE.files["etc/cloud/cloud.cfg.d/90-rehearsal.cfg"]).not.toMatch(/growpart|resizefs/);
    expect(CLOUD_RECIPE.files["etc/systemd/network/05-host0.network"]).toContain("Unmanaged=yes");
  });
});

describe("a server's names", () => {
  it("are apart from those of the same state folder's machines", () => {
    expect(server.folder).toBe("/s/cloud/machines/server-42");
    expect(server.namespace).not.toBe(namesOf("/s", "server-42").namespace);
    expect(server.link.length).toBeLessThanOrEqual(15);
    expect(wallOf(server)).toBe(`wall-${server.namespace}`);
  });
  it("follow its id, to the hardware address", () => {
    expect(serverHardwareAddress(42)).toBe("02:69:00:00:00:2a");
    expect(serverHardwareAddress(4_000_000_000)).toBe("02:69:ee:6b:28:00");
  });
  it("are refused where mount options could not carry them", () => expect(() => placeOf({ cache: "/c", state: "/a:b", report: () => undefined })).toThrow("colon"));
});

describe("ip", () => {
  it("puts a server behind a wall of its own, and lets traffic in last", () => {
    const wall = wallOf(server);
    expect(connectCommands(server, "02:69:00:00:00:2a")).toEqual([
      ["ip", "netns", "add", server.namespace],
      ["ip", "netns", "add", wall],
      ["ip", "link", "add", server.link, "type", "veth", "peer", "name", "outside", "netns", wall],
      ["ip", "-n", wall, "link", "add", "inside", "type", "veth", "peer", "name", "host0", "address", "02:69:00:00:00:2a", "netns", server.namespace],
      ["ip", "-n", wall, "link", "add", "wall", "type", "bridge", "mcast_snooping", "0"],
      ["ip", "-n", wall, "link", "set", "outside", "addrgenmode", "none", "master", "wall"],
      ["ip", "-n", wall, "link", "set", "inside", "addrgenmode", "none", "master", "wall"],
      ["ip", "-n", wall, "link", "set", "wall", "addrgenmode", "none"],
      ["ip", "-n", server.namespace, "link", "set", "host0", "addrgenmode", "none"],
    ]);
    expect(openCommands(server).at(-1)).toEqual(["ip", "link", "set", server.link, "addrgenmode", "none", "master", "hf0", "up"]);
  });
});

describe("a volume's mounts", () => {
  it("are found by the device's number, with a space in their path too", () => {
    const table = "36 35 7:0 / /data\\040one rw - ext4 /dev/x rw\n37 35 7:1 / /other rw - ext4 /dev/y rw\n38 35 7:0 / /twice rw - ext4 /dev/x rw\n";
    expect(mountsOf("7:0", table)).toEqual(["/data one", "/twice"]);
    expect(mountsOf("7:2", table)).toEqual([]);
  });
  it("have the kernel's number beyond 255 too", () => {
    expect(numberOf(0x0700)).toBe("7:0");
    expect(numberOf(0x10072c)).toBe("7:300");
  });
});
