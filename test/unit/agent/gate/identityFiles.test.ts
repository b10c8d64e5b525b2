import { mkdir, readdir, readFile, stat, symlink, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { describe, expect, it } from "vitest";
import { identityFacts, placeIdentity, placeOfIdentity, removeHalf } from "../../../../agent/gate/identityFiles.js";
import { fileIdentityKinds } from "../../../../formats/identity.js";
import { hostLayout } from "../../../../formats/hostLayout.js";
import { npubOf } from "../../../../formats/npub.js";
import { publicIdentityOf } from "../../../../formats/publicIdentity.js";
import { dyingAt, standIn } from "../secrets/standIn.js";
import { fakeHost, settings } from "./fakeHost.js";

const secret = Buffer.alloc(32, 7);
const named = { kind: "cln-hsm-secret", name: "main", publicIdentity: publicIdentityOf("cln-hsm-secret", secret) } as const;
const withIdentity = { ...settings, identities: [named] };
const stateOf = async (host: Parameters<typeof identityFacts>[0]) => (await identityFacts(host, withIdentity))[0]!.state;

describe("an identity in a file", () => {
  it.each([
    ["cln-hsm-secret", "regtest", "/var/lib/clightning/regtest/hsm_secret", "clightning"],
    ["cln-hsm-secret", "mainnet", "/var/lib/clightning/bitcoin/hsm_secret", "clightning"],
    ["nsec", "mainnet", "/var/lib/bunker/identities/main", "bunker"],
    ["onion-key", "mainnet", "/var/lib/tor/onion/main/hs_ed25519_secret_key", "tor"],
  ] as const)("%s on %s belongs in %s, for its daemon alone", (kind, network, path, owner) => {
    expect(placeOfIdentity(hostLayout, { kind, name: "main" }, network)).toEqual({ path, owner, mode: 0o400, service: owner });
    expect(fileIdentityKinds).toContain(kind);
  });

  it("is absent, then placed with its mode in folders of its owner alone, then there", async () => {
    const { host } = await fakeHost();
    expect(await stateOf(host)).toEqual({ is: "absent" });
    const { place } = (await identityFacts(host, withIdentity))[0]!;
    await placeIdentity(host, place, secret);
    expect([await readFile(place.path), (await stat(place.path)).mode & 0o777, (await stat(dirname(place.path))).mode & 0o777]).toEqual([secret, 0o400, 0o700]);
    expect(await readdir(dirname(place.path))).toEqual(["hsm_secret"]);
    expect(await stateOf(host)).toEqual({ is: "there" });
  });

  it("is never written over another one", async () => {
    const { host } = await fakeHost();
    const { place } = (await identityFacts(host, withIdentity))[0]!;
    await mkdir(dirname(place.path), { recursive: true });
    await writeFile(place.path, Buffer.alloc(32, 8));
    expect(await stateOf(host)).toEqual({ is: "foreign", holds: publicIdentityOf("cln-hsm-secret", Buffer.alloc(32, 8)) });
    await expect(placeIdentity(host, place, secret)).rejects.toThrow("EEXIST");
    expect(await readFile(place.path)).toEqual(Buffer.alloc(32, 8));
  });

  it("counts as another when the file is none, or a link", async () => {
    const { host } = await fakeHost();
    const { place } = (await identityFacts(host, withIdentity))[0]!;
    await mkdir(dirname(place.path), { recursive: true });
    await writeFile(place.path, "");
    expect(await stateOf(host)).toEqual({ is: "foreign", holds: "something that is no cln-hsm-secret" });
    await host.disk.remove(place.path);
    await symlink("/etc/hostname", place.path);
    expect(await stateOf(host)).toEqual({ is: "foreign", holds: "a link" });
  });

  it("of a signer is there once the bunker has left its public key alone in its place, and another one is another one", async () => {
    const { host } = await fakeHost();
    const [own, other] = ["ab", "cd"].map((byte) => byte.repeat(32)) as [string, string];
    const facts = async () => (await identityFacts(host, { ...settings, identities: [{ kind: "nsec", name: "shop", publicIdentity: own }] }))[0]!;
    const { place: { path } } = await facts();
    await mkdir(dirname(path), { recursive: true });
    for (const [text, state] of [[npubOf(own), { is: "there" }], [npubOf(other), { is: "foreign", holds: other }], ["npub1", { is: "foreign", holds: "something that is no nsec" }]] as const) {
      await writeFile(path, `${text}\n`);
      expect((await facts()).state).toEqual(state);
    }
  });

  it("whose user this system does not have is known before anything is written", async () => {
    const { host } = await fakeHost();
    const facts = await identityFacts(host, { ...settings, identities: [{ kind: "nsec", name: "main", publicIdentity: "ab" }] });
    expect(facts[0]).toMatchObject({ state: { is: "ownerless" }, place: { owner: "bunker", service: "bunker" } });
  });

  it("is not placed through a link that stands for a folder", async () => {
    const { host, folder } = await fakeHost();
    const { place } = (await identityFacts(host, withIdentity))[0]!;
    await mkdir(dirname(dirname(place.path)), { recursive: true });
    await symlink(folder, dirname(place.path));
    await expect(placeIdentity(host, place, secret)).rejects.toThrow(/regtest is a link and no folder/);
  });

  it("is whole or not there, killed anywhere, and the next attempt places it", async () => {
    for (let effect = 1; ; effect++) {
      const { host } = await fakeHost();
      const { place } = (await identityFacts(host, withIdentity))[0]!;
      const { dying, isDead } = dyingAt({ ...(await standIn(() => ({}))).site, disk: host.disk }, effect);
      await placeIdentity({ owners: host.owners, disk: dying.disk }, place, secret).catch(() => undefined);
      const state = await stateOf(host);
      expect(["absent", "there"]).toContain(state.is);
      if (state.is === "absent") await placeIdentity(host, place, secret);
      await removeHalf(host, place);
      expect([await stateOf(host), await readdir(dirname(place.path))]).toEqual([{ is: "there" }, ["hsm_secret"]]);
      if (!isDead()) break;
    }
  });
});
