import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it, onTestFinished } from "vitest";
import { derive, p256PrivateKey, password, publicKeyOf, wireguardKeys } from "../../../../components/secrets/derive.js";
import { secretId } from "../../../../components/secrets/registry.js";
import { rpcauth } from "../../../../components/secrets/rpcauth.js";
import { identityIn, newIdentity, openText, sealText } from "../../../../custody/seal.js";

const root = "r".repeat(64);

function ownFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "holdfast-secrets-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return folder;
}

describe("what derives from a root", () => {
  it("is RFC 5869's HKDF-SHA256", () => {
    const okm = execFileSync("openssl", ["kdf", "-keylen", "32", "-kdfopt", "digest:SHA256", "-kdfopt", `key:${root}`, "-kdfopt", "salt:", "-kdfopt", "info:node/x/1", "-binary", "HKDF"]);
    expect(derive(root, "node/x/1", 32).equals(okm)).toBe(true);
  });

  it("stays the same until root, node, secret or version is another", () => {
    const id = secretId("alice", { id: "x", version: 1 });
    const values = new Set([password(root, id), password(root, secretId("alice", { id: "x", version: 2 })), password(root, secretId("bob", { id: "x", version: 1 })),
      password(root, secretId("alice", { id: "y", version: 1 })), password("q".repeat(64), id)]);
    expect(values.size).toBe(5);
    expect(password(root, id)).toBe(password(root, id));
  });

  it("makes passwords of 20 alphanumeric characters from any root", () => {
    fc.assert(fc.property(fc.string({ minLength: 32 }), fc.string(), (any, id) => { expect(password(any, id)).toMatch(/^[A-Za-z0-9]{20}$/); }));
  });

  it("gives the WireGuard public key that wg itself computes", () => {
    for (const one of [root, randomBytes(32).toString("hex")]) {
      const keys = wireguardKeys(one, "alice/wireguard-node/1");
      expect(execFileSync("wg", ["pubkey"], { input: keys.privateKey }).toString().trim()).toBe(keys.publicKey);
      expect(publicKeyOf(keys.privateKey)).toBe(keys.publicKey);
    }
  });

  it("gives a P-256 key that openssl accepts, the same each time", () => {
    const key = p256PrivateKey(root, "alice/lnd-tls-key/1");
    expect(execFileSync("openssl", ["pkey", "-noout", "-text"], { input: key }).toString()).toContain("prime256v1");
    expect(p256PrivateKey(root, "alice/lnd-tls-key/1")).toBe(key);
  });
});

describe("rpcauth", () => {
  it("is the salt and the HMAC of the password under the salt's text", () => {
    const value = rpcauth("cT68FjVP3n0", "5fa1bbf2a6b0a0ee2b6a9c4cd5c4e1a2");
    const [salt, hmac] = value.split("$");
    expect(salt).toBe("5fa1bbf2a6b0a0ee2b6a9c4cd5c4e1a2");
    expect(execFileSync("openssl", ["dgst", "-sha256", "-hmac", salt!], { input: "cT68FjVP3n0" }).toString()).toContain(hmac!);
  });
});

describe("sealing", () => {
  it("is opened by the age program, and opens what the age program sealed", async () => {
    const { identity, recipient } = await newIdentity();
    const folder = ownFolder();
    writeFileSync(join(folder, "key"), `${identity}\n`, { mode: 0o600 });
    const ours = await sealText("to the host", recipient);
    expect(execFileSync("age", ["--decrypt", "-i", join(folder, "key")], { input: ours }).toString()).toBe("to the host");
    const theirs = execFileSync("age", ["--armor", "-r", recipient], { input: "from outside" }).toString();
    expect(await openText(theirs, identity)).toBe("from outside");
  });

  it("is not opened by another identity, nor when a byte was changed", async () => {
    const [own, other] = [await newIdentity(), await newIdentity()];
    const sealed = await sealText("secret", own.recipient);
    await expect(openText(sealed, other.identity)).rejects.toThrow();
    const lines = sealed.split("\n");
    lines[3] = lines[3]!.replace(/^./, (letter) => (letter === "A" ? "B" : "A"));
    await expect(openText(lines.join("\n"), own.identity)).rejects.toThrow();
  });

  it("finds the identity in a file as age-keygen writes it, and says when there is none", async () => {
    const text = execFileSync("age-keygen", { stdio: ["ignore", "pipe", "ignore"] }).toString();
    expect(identityIn(text, "key")).toMatch(/^AGE-SECRET-KEY-1/);
    expect(() => identityIn("# empty\n", "key.txt")).toThrow("key.txt holds no age identity");
  });
});
