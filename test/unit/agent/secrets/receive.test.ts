import { generateX25519Identity, identityToRecipient } from "age-encryption";
import { readFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { receive } from "../../../../agent/secrets/receive.js";
import { acceptOlder } from "../../../../agent/secrets/versions.js";
import type { Site } from "../../../../agent/site.js";
import { bringBundle, bundleOf, contacted, deliverable, file, installedFiles, place, seal, standIn, systemd } from "./standIn.js";

const password = file("lnd-wallet-password", "one");
const zero = file("lnd-wallet-password", "zero");

describe("what receive refuses", () => {
  it.each([
    [{ ...place, environment: "prod" }, "environment prod, and this host is environment dev"],
    [{ ...place, network: "mainnet" as const }, "network mainnet, and this host is network regtest"],
    [{ ...place, node: "bob" }, "node bob, and this host is node alice"],
    [{ ...place, generation: 2 }, "generation 2, and this host is generation 1"],
  ])("a bundle for another place: %j", async (other, words) => {
    const { site } = await standIn(systemd("active"));
    await expect(receive(await deliverable(site, bundleOf(5, [password], other)), site)).rejects.toThrow(words);
    expect(await site.disk.look(site.layout.deliveredBundle)).toBeUndefined();
  });

  it("an older bundle than the one that is committed, and remembers it", async () => {
    const { site } = await standIn(systemd("active"));
    await bringBundle(site, bundleOf(6, [password]));
    await expect(receive(await deliverable(site, bundleOf(5, [zero])), site)).rejects.toThrow(/sealed 1970-01-01T00:00:00\.005Z, and this host has had one of 1970-01-01T00:00:00\.006Z.*holdfast accept-older alice/);
    expect(await acceptOlder("{}", site)).toEqual({ refused: 5, highest: 6, accepted: null });
  });

  it("an older bundle than one that waits for its activation", async () => {
    const { site } = await standIn(systemd("active"));
    await receive(await deliverable(site, bundleOf(6, [password])), site);
    await expect(receive(await deliverable(site, bundleOf(5, [password])), site)).rejects.toThrow("is refused");
  });

  it("a bundle that is sealed for another host, without quoting any of it", async () => {
    const { site } = await standIn(systemd("active"));
    const own = await contacted(site);
    const sealed = await seal(bundleOf(5, [password]), await identityToRecipient(await generateX25519Identity()));
    await expect(receive(JSON.stringify({ sealed }), site)).rejects.toThrow(`sealed for another host than ${own}`);
  });

  it("a bundle before first contact", async () => {
    const { site } = await standIn(systemd("active"));
    const sealed = await seal(bundleOf(5, [password]), await identityToRecipient(await generateX25519Identity()));
    await expect(receive(JSON.stringify({ sealed }), site)).rejects.toThrow("The contact step comes first");
  });

  it("a bundle that names a file twice", async () => {
    const { site } = await standIn(systemd("active"));
    await expect(receive(await deliverable(site, bundleOf(5, [password, password])), site)).rejects.toThrow("names lnd-wallet-password twice");
  });

  it("a file name that leaves the directory", async () => {
    const { site } = await standIn(systemd("active"));
    await expect(receive(await deliverable(site, bundleOf(5, [file("../passwd", "x")])), site)).rejects.toThrow("wants a plain file name");
  });

});

describe("the operator's word", () => {
  const word = (version: number): string => JSON.stringify({ version });
  async function refusedHost(): Promise<Site> {
    const { site } = await standIn(systemd("active"));
    await bringBundle(site, bundleOf(6, [password]));
    await receive(await deliverable(site, bundleOf(5, [zero])), site).catch(() => undefined);
    return site;
  }

  it("lets the one version in that was refused, once, and no other", async () => {
    const site = await refusedHost();
    expect(await acceptOlder(word(5), site)).toEqual({ refused: 5, highest: 6, accepted: 5 });
    await expect(receive(await deliverable(site, bundleOf(4, [zero])), site)).rejects.toThrow("is refused");
    expect(await bringBundle(site, bundleOf(5, [zero]))).toMatchObject({ version: 5, changed: ["lnd-wallet-password"] });
    // The same again, as after a lost connection.
    expect(await bringBundle(site, bundleOf(5, [zero]))).toMatchObject({ version: 5, changed: [] });
    await expect(receive(await deliverable(site, bundleOf(4, [zero])), site)).rejects.toThrow("is refused");
    expect(await bringBundle(site, bundleOf(7, [password]))).toMatchObject({ version: 7 });
    await expect(receive(await deliverable(site, bundleOf(5, [zero])), site)).rejects.toThrow("is refused");
  });

  it("does not make the next older one newer than the highest that the host has had", async () => {
    const site = await refusedHost();
    await acceptOlder(word(5), site);
    await bringBundle(site, bundleOf(5, [zero]));
    expect((await acceptOlder("{}", site)).highest).toBe(6);
    await expect(receive(await deliverable(site, bundleOf(4, [password])), site)).rejects.toThrow("has had one of 1970-01-01T00:00:00.006Z");
  });

  it.each([4, 6])("is not taken for version %i, which was not refused", async (version) => {
    const site = await refusedHost();
    await expect(acceptOlder(word(version), site)).rejects.toThrow("has refused the bundle of 1970-01-01T00:00:00.005Z last");
    expect((await acceptOlder("{}", site)).accepted).toBeNull();
  });

  it("is not taken where nothing was refused", async () => {
    const { site } = await standIn(systemd("active"));
    await expect(acceptOlder(word(5), site)).rejects.toThrow("has refused no bundle of secrets");
  });
});

describe("a delivery", () => {
  it("is kept, sealed, and changes nothing that is installed", async () => {
    const { site, commands } = await standIn(systemd("active"));
    await bringBundle(site, bundleOf(5, [password]));
    const before = await installedFiles(site);
    commands.length = 0;
    const asked = await deliverable(site, bundleOf(6, [file("lnd-wallet-password", "two"), file("rtl-password", "x", { owner: "rtl", group: "rtl" })]));
    expect(await receive(asked, site)).toEqual({ version: 6, replaces: 5, changed: ["lnd-wallet-password", "rtl-password"] });
    expect([await installedFiles(site), commands]).toEqual([before, []]);
    expect(await readFile(site.layout.deliveredBundle, "utf8")).toBe((JSON.parse(asked) as { sealed: string }).sealed);
  });
});
