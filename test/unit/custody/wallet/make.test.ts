import { execFileSync, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { newIdentity, openText } from "../../../../custody/seal.js";
import { makeFileIdentity, makeSeed } from "../../../../custody/wallet/make.js";
import { nodePublicKeyOf } from "../../../../custody/wallet/seed.js";
import { fileIdentityKinds, fileIdentitySecretSchema, seedSchema, type FileIdentityKind } from "../../../../formats/identity.js";
import { publicIdentityOf } from "../../../../formats/publicIdentity.js";
import { parseFormat } from "../../../../formats/versioned.js";

let folder: string;
let wallet: { readonly identity: string; readonly recipient: string };
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "holdfast-make-"));
  wallet = await newIdentity();
  writeFileSync(join(folder, "key"), `${wallet.identity}\n`, { mode: 0o600 });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const owner = () => ({ environment: "dev", network: "regtest" as const, node: "alice", recipient: wallet.recipient });
const make = (kind: FileIdentityKind) => makeFileIdentity(owner(), { kind, name: "main" }, new Date("2026-11-21T00:00:00Z"));
const byAge = (sealed: string): string => execFileSync("age", ["--decrypt", "-i", join(folder, "key")], { input: sealed }).toString();
const secretIn = async (sealed: string): Promise<Buffer> => Buffer.from(parseFormat(fileIdentitySecretSchema, "secret", await openText(sealed, wallet.identity)).secret, "base64");

describe("a node's seed", () => {
  it("is opened by the age program with the wallet identity, and gives the node id that the file names", async () => {
    const identity = await makeSeed(owner(), new Date("2026-11-21T00:00:00Z"));
    const seed = parseFormat(seedSchema, "seed", byAge(identity.sealed));
    expect(seed).toMatchObject({ environment: "dev", network: "regtest", node: "alice", nodePublicKey: identity.nodePublicKey });
    expect(nodePublicKeyOf(seed.mnemonic, "regtest")).toBe(identity.nodePublicKey);
    expect(nodePublicKeyOf(seed.mnemonic, "mainnet")).not.toBe(identity.nodePublicKey);
    expect(identity.made).toBe("2026-11-21T00:00:00.000Z");
  });

  it("has no word in clear", async () => {
    const { sealed, ...rest } = await makeSeed(owner(), new Date());
    const { mnemonic } = parseFormat(seedSchema, "seed", byAge(sealed));
    const clear = JSON.stringify(rest).toLowerCase().split(/[^a-z]+/);
    expect(mnemonic.filter((word) => clear.includes(word))).toEqual([]);
    expect(sealed).not.toContain(mnemonic.join(" "));
  });

  it("is another one each time", async () => {
    expect((await makeSeed(owner(), new Date())).nodePublicKey).not.toBe((await makeSeed(owner(), new Date())).nodePublicKey);
  });

  it("refuses words that are no seed", async () => {
    const { mnemonic } = parseFormat(seedSchema, "seed", byAge((await makeSeed(owner(), new Date())).sealed));
    expect(() => nodePublicKeyOf(mnemonic.with(0, mnemonic[0] === "zoo" ? "zone" : "zoo"), "regtest")).toThrow();
  });

  it.each(["age1foo", "ssh-ed25519 AAAA", `age1${"q".repeat(58)}`])("is not made for %s, which can open nothing", async (recipient) => {
    await expect(makeSeed({ ...owner(), recipient }, new Date())).rejects.toThrow("Nothing was made: the identity could not be sealed for");
  });
});

describe("an identity in a file", () => {
  it.each(fileIdentityKinds)("of kind %s says in public what its secret makes, and is another one each time", async (kind) => {
    const [one, two] = [await make(kind), await make(kind)];
    const inside = parseFormat(fileIdentitySecretSchema, "secret", byAge(one.sealed));
    expect(inside).toMatchObject({ environment: "dev", network: "regtest", node: "alice", kind, name: "main", publicIdentity: one.publicIdentity });
    expect(publicIdentityOf(kind, Buffer.from(inside.secret, "base64"))).toBe(one.publicIdentity);
    expect(two.publicIdentity).not.toBe(one.publicIdentity);
    expect(JSON.stringify(one)).not.toContain(inside.secret);
  });

  it("is 32 bytes for lightningd, one line of bech32 for a signer, 96 bytes for Tor", async () => {
    expect((await secretIn((await make("cln-hsm-secret")).sealed)).length).toBe(32);
    expect((await secretIn((await make("nsec")).sealed)).toString()).toMatch(/^nsec1[02-9ac-hj-np-z]{58}\n$/);
    expect((await secretIn((await make("onion-key")).sealed)).length).toBe(96);
  });

  const tor = ["/usr/bin/tor", "/usr/sbin/tor"].find((path) => { try { execFileSync(path, ["--version"]); return true; } catch { return false; } });
  it.skipIf(tor === undefined)("is what the real tor serves an onion service with, under the address that the file names", async () => {
    const identity = await make("onion-key");
    const service = join(folder, "service");
    mkdirSync(service, { mode: 0o700 });
    writeFileSync(join(service, "hs_ed25519_secret_key"), await secretIn(identity.sealed), { mode: 0o600 });
    // It serves nobody: no network, no port. It reads the key before it would need either.
    const running = spawn(tor!, ["--ignore-missing-torrc", "-f", "/dev/null", "--quiet", "--DisableNetwork", "1", "--SocksPort", "0", "--DataDirectory", join(folder, "tor"), "--HiddenServiceDir", service, "--HiddenServicePort", "80 127.0.0.1:1"]);
    try {
      await expect.poll(() => readFileSync(join(service, "hostname"), "utf8").trim(), { timeout: 10_000 }).toBe(identity.publicIdentity);
    } finally {
      running.kill();
    }
  });
});
