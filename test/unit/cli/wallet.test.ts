import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createIdentity, createIdentityFile, nodeCalled, nodeFiles, pathFor } from "../../../cli/wallet.js";
import { placesOf, type Places } from "../../../cli/places.js";
import { durationFrom } from "../../../cli/walletCommands.js";
import { newIdentity } from "../../../custody/seal.js";
import { fileIdentitySchema, fileIdentitySecretSchema, identityFileSchema } from "../../../formats/identity.js";
import { publicIdentityOf } from "../../../formats/publicIdentity.js";
import { parseFormat } from "../../../formats/versioned.js";

let folder: string;
let places: Places;
let wallet: { readonly identity: string; readonly recipient: string };
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "holdfast-wallet-"));
  places = placesOf(folder, "dev");
  wallet = await newIdentity();
  writeFileSync(join(folder, "key"), `${wallet.identity}\n`, { mode: 0o600 });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const owner = () => ({ environment: "dev", network: "regtest" as const, node: "alice", recipient: wallet.recipient });

describe("an identity file", () => {
  it("is written as the configuration reads it, and never over one that is there", async () => {
    const path = join(folder, "below", "alice.lnd-seed.json");
    const identity = await createIdentityFile(path, owner());
    expect(parseFormat(identityFileSchema, "identity file", readFileSync(path, "utf8"))).toEqual(identity);
    const before = readFileSync(path, "utf8");
    await expect(createIdentityFile(path, owner())).rejects.toThrow(`${path} is there already`);
    expect(readFileSync(path, "utf8")).toBe(before);
    expect(statSync(path).mode & 0o022).toBe(0);
  });
});

const keys = { network: "regtest", nodes: { alice: { id: "alice-1", identity: "ids/alice.json", identities: ["elsewhere/alice-1.nsec.json"], host: { commodity: { file: "not there yet" } } }, bob: { identity: "ids/bob.json" } } };

describe("the nodes of a stack file", () => {
  it("are known before their machines are, by name and by id", () => {
    const { network, nodes } = nodeFiles("dev", keys);
    expect(network).toBe("regtest");
    expect(nodes).toEqual([
      { name: "alice", id: "alice-1", identity: "ids/alice.json", identities: ["elsewhere/alice-1.nsec.json"] },
      { name: "bob", id: "bob", identity: "ids/bob.json", identities: [] },
    ]);
    expect(nodeCalled(nodes, "alice-1").name).toBe("alice");
    expect(() => nodeCalled(nodes, "carol")).toThrow("The stack file has no node carol. It has: alice, bob.");
  });

  it("have their new identities where the file says, and otherwise beside the seed", () => {
    const alice = nodeCalled(nodeFiles("dev", keys).nodes, "alice");
    expect(pathFor(alice, { kind: "lnd-seed" })).toEqual({ path: "ids/alice.json", named: true });
    expect(pathFor(alice, { kind: "nsec", name: "main" })).toEqual({ path: "elsewhere/alice-1.nsec.json", named: true });
    expect(pathFor(alice, { kind: "onion-key", name: "rest" })).toEqual({ path: "ids/alice-1.onion-key.rest.json", named: false });
  });

  it("get identities under their id, with a line in the audit log, and a word when the stack file does not name them yet", async () => {
    const alice = nodeCalled(nodeFiles("dev", keys).nodes, "alice");
    const lines = await createIdentity(places, alice, { network: "regtest", recipient: wallet.recipient }, { kind: "onion-key", name: "rest" });
    const file = parseFormat(fileIdentitySchema, "identity", readFileSync(join(folder, "ids/alice-1.onion-key.rest.json"), "utf8"));
    expect(file).toMatchObject({ environment: "dev", node: "alice-1", kind: "onion-key", name: "rest" });
    const secret = parseFormat(fileIdentitySecretSchema, "secret", execFileSync("age", ["--decrypt", "-i", join(folder, "key")], { input: file.sealed }).toString());
    expect(publicIdentityOf("onion-key", Buffer.from(secret.secret, "base64"))).toBe(file.publicIdentity);
    expect(lines).toEqual([
      `ids/alice-1.onion-key.rest.json: onion-key ${file.publicIdentity}, sealed for ${wallet.recipient}`,
      "Add it to the stack file: holdfast:nodes.alice.identities: [ids/alice-1.onion-key.rest.json]",
    ]);
    const log = readFileSync(join(folder, "environments/dev/audit.jsonl"), "utf8");
    expect(JSON.parse(log)).toMatchObject({ action: "identity-made", subject: "alice-1 onion-key rest", note: file.publicIdentity });
  });

  it("must say where their identities lie", () => {
    expect(() => nodeFiles("prod", { network: "mainnet", nodes: { alice: {} } })).toThrow("The stack file of prod does not say where its nodes' identities lie");
    expect(() => nodeFiles("prod", { nodes: {} })).toThrow("which network");
  });
});

describe("a time to stay unlocked", () => {
  it.each([["1h", 3_600_000], ["30m", 1_800_000], ["20s", 20_000], ["24h", 86_400_000]])("%s is read", (text, milliseconds) => {
    expect(durationFrom(text)).toBe(milliseconds);
  });
  it.each(["25h", "0m", "1", "1d", "h", "-1h", ""])("%j is refused", (text) => {
    expect(() => durationFrom(text)).toThrow("is no time of up to 24 h");
  });
});
