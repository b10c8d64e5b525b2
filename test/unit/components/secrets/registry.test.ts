import { execFileSync } from "node:child_process";
import { createECDH, createHash, createPrivateKey } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { opensshKeys } from "../../../../components/secrets/openssh.js";
import { countedAs, presharedKey, registry, secretId, secretsOf, type Versions } from "../../../../components/secrets/registry.js";
import { rpcauth } from "../../../../components/secrets/rpcauth.js";
import { secretFileSchema } from "../../../../formats/bundle.js";
import { nameSchema } from "../../../../formats/place.js";
import { services } from "../../../../formats/services.js";

const root = "r".repeat(64);
const peers = [{ name: "phone" }, { name: "laptop" }];
const everything = secretsOf(services, peers);
const derived = everything.filter((secret) => secret.kind === "derived");
const rotated = (...ids: readonly string[]): Versions => Object.fromEntries(ids.map((id) => [id, { version: 2, rotated: "2026-11-21T12:00:00Z" }]));
const anyRoot = fc.string({ minLength: 64, maxLength: 64, unit: fc.constantFrom(..."ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789") });

function values(from = root, nodeId = "alice-1", versions: Versions = {}): Map<string, string> {
  return new Map(secretsOf(services, peers, versions).flatMap((secret) => (secret.kind === "derived" ? [[secret.id, secret.value(from, secretId(nodeId, secret))]] : [])));
}

/** What a value must look like, by what it is. */
const forms = {
  password: /^[A-Za-z0-9]{20}$/,
  rpcauth: /^[0-9a-f]{32}\$[0-9a-f]{64}$/,
  hex32: /^[0-9a-f]{64}$/,
  base32bytes: /^[A-Za-z0-9+/]{43}=$/,
  pem: /^-----BEGIN PRIVATE KEY-----\n[\s\S]+\n-----END PRIVATE KEY-----\n$/,
  openssh: /^-----BEGIN OPENSSH PRIVATE KEY-----\n([A-Za-z0-9+/=]{1,70}\n)+-----END OPENSSH PRIVATE KEY-----\n$/,
  environment: /^PASSPHRASE=[A-Za-z0-9]{20}\n$/,
};
const special: Readonly<Record<string, keyof typeof forms>> = {
  "lnd-tls-key": "pem", "loop-tls-key": "pem", "lnd-macaroon-root-key": "hex32", "data-volume-key": "hex32", "root-disk-key": "hex32", "bunker-admin-key": "hex32", "clightning-replication-ssh-key": "openssh",
  "wireguard-node": "base32bytes", "wireguard-psk-phone": "base32bytes", "wireguard-psk-laptop": "base32bytes", "backup-encryption": "environment",
};
const formOf = (id: string): RegExp => forms[special[id] ?? (id.includes("-hmac") ? "rpcauth" : "password")];

describe("the registry", () => {
  it("gives every secret the value that it has had since it came into the registry", () => {
    const vectors = JSON.parse(readFileSync(new URL("vectors.json", import.meta.url), "utf8")) as Record<string, string>;
    const found = [...values()].filter(([id]) => id !== "wireguard-psk-laptop");
    expect(Object.fromEntries(found.map(([id, value]) => [id, value.includes("\n") ? `sha256 ${createHash("sha256").update(value).digest("hex")}` : value]))).toEqual(vectors);
  });

  it("gives no two secrets one id, one file or one value, whoever the peers are", () => {
    const names = fc.uniqueArray(fc.stringMatching(/^[a-z][a-z0-9-]{0,8}$/).filter((name) => nameSchema.safeParse(name).success), { maxLength: 6 });
    fc.assert(fc.property(names, (any) => {
      const all = secretsOf(services, any.map((name) => ({ name })));
      for (const key of ["id", "file"] as const) expect(new Set(all.map((one) => one[key])).size).toBe(all.length);
    }));
    expect(new Set(values().values()).size).toBe(derived.length);
  });

  it("refuses two peers of one name", () => {
    expect(() => secretsOf(["wireguard"], [{ name: "phone" }, { name: "phone" }])).toThrow("Two secrets of one node have the id wireguard-psk-phone");
  });

  it("makes each value in the form that its readers want, from any root", () => {
    fc.assert(fc.property(anyRoot, (from) => {
      for (const [id, value] of values(from)) expect(value, id).toMatch(formOf(id));
    }), { numRuns: 5 });
  });

  it("makes keys that openssl and OpenSSH read", () => {
    for (const id of ["lnd-tls-key", "loop-tls-key"]) expect(createPrivateKey(values().get(id)!).asymmetricKeyDetails).toEqual({ namedCurve: "prime256v1" });
    const folder = mkdtempSync(join(tmpdir(), "holdfast-openssh-"));
    try {
      for (const from of [root, "q".repeat(64)]) {
        const { privateKey, publicKey } = opensshKeys(from, "alice-1/clightning-replication-ssh-key/1");
        writeFileSync(join(folder, "key"), privateKey, { mode: 0o600 });
        expect(execFileSync("ssh-keygen", ["-y", "-f", join(folder, "key")]).toString().trim()).toBe(publicKey);
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it("makes the bunker's own key a secp256k1 key, from any root", () => {
    fc.assert(fc.property(anyRoot, (from) => {
      const curve = createECDH("secp256k1");
      expect(() => curve.setPrivateKey(Buffer.from(values(from).get("bunker-admin-key")!, "hex"))).not.toThrow();
    }), { numRuns: 5 });
  });

  it("derives each HMAC from the password that is delivered beside it, under a salt that stays", () => {
    const pairs = derived.filter(({ id }) => id.includes("-hmac"));
    expect(pairs.map(({ file }) => file)).toEqual(["privileged", "public", "btcpayserver", "joinmarket-ob-watcher"].map((user) => `bitcoin-HMAC-${user}`));
    for (const versions of [{}, rotated(...pairs.map(({ rootOf }) => rootOf!))]) {
      const all = values(root, "alice-1", versions);
      for (const { id, rootOf } of pairs) expect(all.get(id)).toBe(rpcauth(all.get(rootOf!)!, all.get(id)!.split("$")[0]!));
    }
  });

  it("keeps everything but certificates from the world, and is what a bundle can hold", () => {
    for (const secret of everything) {
      expect(secret.mode, secret.id).toMatch(secret.file === "lnd-cert" ? /^0444$/ : /^04[04]0$/);
      expect(() => secretFileSchema.parse({ name: secret.file, owner: secret.owner, group: secret.group, mode: secret.mode, consumers: secret.consumers, content: "" }), secret.id).not.toThrow();
      for (const unit of secret.consumers) expect(unit, secret.id).toMatch(/^[a-z-]+\.service$/);
    }
  });

  it("says of each that never rotates why, and what to do instead", () => {
    for (const secret of everything.filter(({ rotation }) => rotation === "never")) {
      expect(secret.rotating?.length, secret.id).toBeGreaterThan(50);
      expect(secret.consumers, secret.id).toEqual([]);
    }
    for (const secret of everything.filter(({ rotation }) => rotation === "restarts")) expect(secret.consumers, secret.id).not.toEqual([]);
  });
});

describe("a node's secrets", () => {
  it("are those of its services and no others", () => {
    expect(secretsOf(["bitcoind", "lnd", "wireguard", "offsite-backup"], peers).map(({ file }) => file)).toEqual([
      "bitcoin-rpcpassword-privileged", "bitcoin-HMAC-privileged", "bitcoin-rpcpassword-public", "bitcoin-HMAC-public",
      "lnd-wallet-password", "lnd-key", "lnd-cert", "lnd-macaroon-root-key", "wg-node-private-key", "backup-password", "backup-store-password", "wg-psk-phone", "wg-psk-laptop",
    ]);
    expect(secretsOf(["nodeinfo", "electrs"], peers)).toEqual([]);
  });

  it("change with the node's id and with the root, each of them, and with nothing else", () => {
    const [own, again, neighbour, other] = [values(), values(), values(root, "alice-2"), values("q".repeat(64))];
    expect(again).toEqual(own);
    for (const [id, value] of own) expect([neighbour.get(id), other.get(id)], id).not.toContain(value);
  });

  it("change with a rotation: the one that was rotated, with what belongs to it, and no other", () => {
    const before = values();
    for (const secret of derived.filter(({ rotation, file }) => rotation !== "never" && !file.startsWith("wg-psk-"))) {
      const after = values(root, "alice-1", rotated(countedAs(secret)));
      const changed = [...after].filter(([id, value]) => before.get(id) !== value).map(([id]) => id);
      expect(changed, secret.id).toEqual(derived.filter((one) => countedAs(one) === countedAs(secret)).map(({ id }) => id));
    }
  });

  it("are counted in versions.json under the secret whose root they share, certificates under their key", () => {
    const counted = new Map(everything.map((secret) => [secret.file, countedAs(secret)]));
    expect(counted.get("bitcoin-HMAC-public")).toBe("bitcoin-rpc-password-public");
    expect(counted.get("lnd-cert")).toBe("lnd-tls-key");
    expect(counted.get("rtl-password")).toBe("rtl-password");
  });

  it("leave a peer's first preshared key alone when its keys rotate", () => {
    expect(values(root, "alice-1", rotated("wireguard-peer-phone", "wireguard-psk-phone"))).toEqual(values());
    expect(presharedKey("phone").rotating).toContain("holdfast rotate wireguard phone");
  });

  it("refuse a version of what never rotates, and say what to do instead", () => {
    for (const { id } of registry.filter(({ rotation }) => rotation === "never")) {
      expect(() => secretsOf(services, [], rotated(id)), id).toThrow(new RegExp(`versions.json gives ${id} the version 2, and it never rotates\\. .{50}`));
    }
  });
});
