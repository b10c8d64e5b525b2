import { readFile, stat, writeFile } from "node:fs/promises";
import { execFileSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { contact } from "../../../../agent/secrets/contact.js";
import { dyingAt, place, standIn } from "./standIn.js";

const nothing = (): undefined => undefined;
const asked = JSON.stringify({ place });

describe("contact", () => {
  it("makes an identity that root alone reads, and tells its recipient", async () => {
    const { site } = await standIn(nothing);
    const told = await contact(asked, site);
    expect(told.machineId).toBe("0123456789abcdef0123456789abcdef");
    expect((await stat(site.layout.identity)).mode & 0o777).toBe(0o600);
    expect(told.recipient).toMatch(/^age1[0-9a-z]{58}$/);
    expect(JSON.parse(await readFile(site.layout.place, "utf8"))).toEqual(place);
  });

  it("tells the recipient that age-keygen computes", async ({ skip }) => {
    const { site } = await standIn(nothing);
    const { recipient } = await contact(asked, site);
    let computed: string;
    try {
      computed = execFileSync("age-keygen", ["-y", site.layout.identity]).toString().trim();
    } catch (error) {
      return skip((error as NodeJS.ErrnoException).code !== "ENOENT" ? expect.fail(String(error)) : "age-keygen is not installed");
    }
    expect(recipient).toBe(computed);
  });

  it("tells the same every time", async () => {
    const { site } = await standIn(nothing);
    expect(await contact(asked, site)).toEqual(await contact(asked, site));
  });

  it("gives the same answer to two at once", async () => {
    const { site } = await standIn(nothing);
    const [one, other] = await Promise.all([contact(asked, site), contact(asked, site)]);
    expect(one).toEqual(other);
  });

  it.each([
    [{ ...place, environment: "prod" }, "environment prod, and this host is environment dev"],
    [{ ...place, network: "mainnet" }, "network mainnet"],
    [{ ...place, node: "bob" }, "node bob"],
    [{ ...place, generation: 2 }, "generation 2, and this host is generation 1"],
  ])("refuses another place: %j", async (other, words) => {
    const { site } = await standIn(nothing);
    await contact(asked, site);
    await expect(contact(JSON.stringify({ place: other }), site)).rejects.toThrow(words);
    await expect(contact(JSON.stringify({ place: other }), site)).rejects.toThrow("make a new one");
  });

  it("finishes a first contact that was killed anywhere", async () => {
    for (let kill = 1; ; kill++) {
      const { site } = await standIn(nothing);
      const { dying, isDead } = dyingAt(site, kill);
      await contact(asked, dying).catch(() => undefined);
      if (!isDead()) break;
      const before = await site.disk.readText(site.layout.identity);
      const second = await contact(asked, site);
      const after = await site.disk.readText(site.layout.identity);
      if (before !== undefined) expect(after).toBe(before);
      expect(await contact(asked, site)).toEqual(second);
      expect((await site.disk.list(site.layout.state)).sort()).toEqual(["identity.age-key", "place.json"]);
    }
  });

  it("does not replace an identity that it cannot read", async () => {
    const { site } = await standIn(nothing);
    await contact(asked, site);
    await writeFile(site.layout.identity, "garbage");
    await expect(contact(asked, site)).rejects.toThrow("holds no age identity");
    expect(await readFile(site.layout.identity, "utf8")).toBe("garbage");
  });

  it("does not make a second identity when the first is lost", async () => {
    const { site } = await standIn(nothing);
    await contact(asked, site);
    await site.disk.remove(site.layout.identity);
    await expect(contact(asked, site)).rejects.toThrow("is lost");
  });
});
