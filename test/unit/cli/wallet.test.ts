import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createIdentityFile, makeIdentity } from "../../../cli/wallet.js";
import { nodePublicKeyOf } from "../../../components/secrets/identities.js";
import { newIdentity } from "../../../custody/seal.js";
import { identityFileSchema, seedSchema } from "../../../formats/identity.js";
import { parseFormat } from "../../../formats/versioned.js";

let folder: string;
let wallet: { readonly identity: string; readonly recipient: string };
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "holdfast-wallet-"));
  wallet = await newIdentity();
  writeFileSync(join(folder, "key"), `${wallet.identity}\n`, { mode: 0o600 });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const owner = () => ({ environment: "dev", network: "regtest" as const, node: "alice", recipient: wallet.recipient });

describe("a node identity", () => {
  it("is opened by the age program with the wallet identity, and its seed gives the node id that the file names", async () => {
    const identity = await makeIdentity(owner(), new Date("2026-11-21T00:00:00Z"));
    const seed = parseFormat(seedSchema, "seed", execFileSync("age", ["--decrypt", "-i", join(folder, "key")], { input: identity.sealed }).toString());
    expect(seed).toMatchObject({ environment: "dev", network: "regtest", node: "alice", nodePublicKey: identity.nodePublicKey });
    expect(nodePublicKeyOf(seed.mnemonic, "regtest")).toBe(identity.nodePublicKey);
    expect(nodePublicKeyOf(seed.mnemonic, "mainnet")).not.toBe(identity.nodePublicKey);
    expect(identity.made).toBe("2026-11-21T00:00:00.000Z");
  });

  it("holds no word of its seed in clear", async () => {
    const identity = await makeIdentity(owner(), new Date());
    const { mnemonic } = parseFormat(seedSchema, "seed", execFileSync("age", ["--decrypt", "-i", join(folder, "key")], { input: identity.sealed }).toString());
    const { sealed, ...rest } = identity;
    const clear = JSON.stringify(rest).toLowerCase().split(/[^a-z]+/);
    expect(mnemonic.filter((word) => clear.includes(word))).toEqual([]);
    expect(sealed).not.toContain(mnemonic.join(" "));
  });

  it("is another one each time", async () => {
    const [first, second] = [await makeIdentity(owner(), new Date()), await makeIdentity(owner(), new Date())];
    expect(first.nodePublicKey).not.toBe(second.nodePublicKey);
  });

  it("is written as a file that the configuration reads, and never over one that is there", async () => {
    const path = join(folder, "alice.lnd-seed.json");
    const identity = await createIdentityFile(path, owner());
    expect(parseFormat(identityFileSchema, "identity file", readFileSync(path, "utf8"))).toEqual(identity);
    const before = readFileSync(path, "utf8");
    await expect(createIdentityFile(path, owner())).rejects.toThrow(`${path} is there already`);
    expect(readFileSync(path, "utf8")).toBe(before);
    expect(statSync(path).mode & 0o022).toBe(0);
  });
});
