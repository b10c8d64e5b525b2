import { execFile, execFileSync } from "node:child_process";
import { createHash, hkdfSync, randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { armor, Decrypter, Encrypter } from "age-encryption";
import { bech32 } from "@scure/base";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { newIdentity, openText, sealText } from "../../../../custody/seal.js";
import { makeFileIdentity, makeSeed } from "../../../../custody/wallet/make.js";
import { fileIdentityKinds, type AnyIdentity } from "../../../../formats/identity.js";

/*
 * A thief has everything of a mainnet environment but the wallet identity: all that lies on the deploy machine, in the stack's state, on the hosts and in the escrow.
 * He tries each on every identity file: as the key that it is, and as whatever a key could be made of it. All keys here are throw-away ones, of nothing on any chain.
 */

let folder: string;
let wallet: string;
const identities: AnyIdentity[] = [];
/** Everything but the wallet identity, by what it is. */
const loot = new Map<string, string>();

/** The length and alphabet of a root, as RandomPassword makes it. */
const root = (): string => randomBytes(96).toString("base64").replaceAll(/[^A-Za-z0-9]/g, "").slice(0, 64).padEnd(64, "x");

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "holdfast-stolen-"));
  const own = await newIdentity();
  wallet = own.identity;
  const owner = { environment: "prod", network: "mainnet" as const, node: "alice", recipient: own.recipient };
  identities.push(await makeSeed(owner, new Date()));
  for (const kind of fileIdentityKinds) identities.push(await makeFileIdentity(owner, { kind, name: "main" }, new Date()));

  for (const role of ["environment", "recovery", "host generation 1", "host generation 2", "development's environment", "development's wallet"]) loot.set(`identity of ${role}`, (await newIdentity()).identity);
  loot.set("hybrid identity", (await newIdentity("hybrid")).identity);
  loot.set("passphrase of the stack", randomBytes(32).toString("base64url"));
  loot.set("password of the store", randomBytes(24).toString("base64url"));
  for (const secret of ["bitcoin-rpc-password", "lnd-wallet-password", "lnd-tls-key", "lnd-macaroon-root-key", "wireguard-node", "backup-password", "wireguard-psk-phone"]) loot.set(`root of ${secret}`, root());
  for (const [name, type] of [["ssh", "ed25519"], ["host's ssh", "ed25519"], ["old ssh", "rsa"]] as const) {
    execFileSync("ssh-keygen", ["-q", "-t", type, "-N", "", "-f", join(folder, name)]);
    loot.set(`${name} key`, readFileSync(join(folder, name), "utf8"));
  }
  loot.set("wallet recipient", own.recipient);
  for (const identity of identities) loot.set(`public facts of ${identity.kind}`, JSON.stringify({ ...identity, sealed: "" }));
}, 60_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const asIdentity = (scalar: Uint8Array): string => bech32.encode("age-secret-key-", bech32.toWords(scalar), false).toUpperCase();

/** The bytes that a text is or holds, in every encoding in which it is one. */
function bytesIn(text: string): Buffer[] {
  const pem = text.includes("-----") ? Buffer.from(text.replaceAll(/-----[^-]+-----|\s/g, ""), "base64") : undefined;
  const decoded = /^AGE-SECRET-KEY-1/.test(text) ? bech32.decodeUnsafe(text.toLowerCase() as `age1${string}`) : undefined;
  return [Buffer.from(text), ...(pem ? [pem] : []), ...(decoded ? [Buffer.from(bech32.fromWords(decoded.words))] : []),
    ...(/^[\w-]{22,}$/.test(text) ? [Buffer.from(text, "base64url")] : []), ...(/^[0-9a-f]{64}$/.test(text) ? [Buffer.from(text, "hex")] : [])];
}

/** Every age identity that could be made of a text. */
function identitiesOf(text: string): string[] {
  const scalars = bytesIn(text).flatMap((bytes) => [
    ...(bytes.length >= 32 ? [bytes.subarray(0, 32), bytes.subarray(-32)] : []),
    createHash("sha256").update(bytes).digest(),
    createHash("sha512").update(bytes).digest().subarray(0, 32),
    ...["", "age", "wallet", "alice/wallet/1", "prod/wallet", "age-encryption.org/v1/X25519", "holdfast-wallet"].map((info) => Buffer.from(hkdfSync("sha256", bytes, "", info, 32))),
  ]);
  return [...(text.startsWith("AGE-SECRET-KEY-") ? [text] : []), ...new Set(scalars.map(asIdentity))];
}

/** Every way in which a text opens a sealed one. */
async function waysIn(text: string, sealed: string): Promise<string[]> {
  const ways = identitiesOf(text).map((identity) => ["as an age identity", identity] as const);
  const opened = await Promise.all(ways.map(async ([way, identity]) => ((await opens(() => openText(sealed, identity))) ? [way] : [])));
  const phrases = [text, text.trim(), ...bytesIn(text).map((bytes) => bytes.toString("hex"))];
  const byPhrase = await Promise.all(phrases.map((phrase) => opens(async () => {
    const decrypter = new Decrypter();
    decrypter.addPassphrase(phrase);
    return decrypter.decrypt(armor.decode(sealed), "text");
  })));
  return [...opened.flat(), ...(byPhrase.includes(true) ? ["as a passphrase"] : [])];
}

async function opens(open: () => Promise<string>): Promise<boolean> {
  try {
    await open();
    return true;
  } catch {
    return false;
  }
}

const byAge = (key: string, sealed: string): Promise<boolean> => new Promise((done) => {
  const child = execFile("age", ["--decrypt", "-i", key], { timeout: 10_000 }, (error) => done(error === null));
  child.stdin!.on("error", () => undefined).end(sealed);
});

describe("somebody with every key of a mainnet environment but the wallet identity", () => {
  it("opens no identity with any of them, whatever he takes it for", { timeout: 120_000 }, async () => {
    expect(loot.size).toBeGreaterThan(20);
    const opened: string[] = [];
    for (const [what, text] of loot) {
      for (const { kind, sealed } of identities) opened.push(...(await waysIn(text, sealed)).map((way) => `${kind}: ${what}, ${way}`));
    }
    expect(opened).toEqual([]);
  });

  it("nor with all of them at once", async () => {
    const all = [...loot.values()].filter((text) => text.startsWith("AGE-SECRET-KEY-"));
    expect(all.length).toBe(7);
    for (const { sealed } of identities) await expect(openText(sealed, ...all)).rejects.toThrow();
  });

  it("nor with the age program, which takes SSH keys too", async () => {
    const ageKey = join(folder, "identities");
    writeFileSync(ageKey, [...loot.values()].filter((text) => text.startsWith("AGE-SECRET-KEY-1")).join("\n"), { mode: 0o600 });
    for (const key of [ageKey, join(folder, "ssh"), join(folder, "host's ssh"), join(folder, "old ssh")]) {
      for (const { sealed } of identities) expect(await byAge(key, sealed)).toBe(false);
    }
  });

  it("while the wallet identity opens each of them", async () => {
    const key = join(folder, "wallet");
    writeFileSync(key, `${wallet}\n`, { mode: 0o600 });
    for (const { sealed } of identities) {
      expect(await waysIn(wallet, sealed)).toContain("as an age identity");
      expect(await byAge(key, sealed)).toBe(true);
    }
  });

  it("would have found each of these ways, had there been one", async () => {
    const secret = loot.get("root of wireguard-node")!;
    const derived = asIdentity(Buffer.from(hkdfSync("sha256", secret, "", "alice/wallet/1", 32)));
    const { identityToRecipient } = await import("age-encryption");
    expect(await waysIn(secret, await sealText("a seed", await identityToRecipient(derived)))).toEqual(["as an age identity"]);
    const encrypter = new Encrypter();
    encrypter.setPassphrase(secret);
    encrypter.setScryptWorkFactor(8);
    expect(await waysIn(secret, armor.encode(await encrypter.encrypt("a seed")))).toEqual(["as a passphrase"]);
    const forSsh = execFileSync("age", ["--armor", "-r", readFileSync(join(folder, "ssh.pub"), "utf8").trim()], { input: "a seed" }).toString();
    expect(await byAge(join(folder, "ssh"), forSsh)).toBe(true);
  });
});
