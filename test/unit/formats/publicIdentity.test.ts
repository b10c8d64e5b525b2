import { createHash, createPrivateKey, createPublicKey, randomBytes } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { fileIdentityKinds } from "../../../formats/identity.js";
import { npubOf, publicKeyOfNpub } from "../../../formats/npub.js";
import { NoIdentity, publicIdentityInPlace, publicIdentityOf } from "../../../formats/publicIdentity.js";

/** Tor's file for an Ed25519 seed. @see RFC 8032 section 5.1.5 */
function torFile(seed: Buffer): Buffer {
  const expanded = createHash("sha512").update(seed).digest();
  expanded[0]! &= 248;
  expanded[31] = (expanded[31]! & 127) | 64;
  return Buffer.concat([Buffer.from("== ed25519v1-secret: type0 ==\0\0\0"), expanded]);
}

describe("the public identity", () => {
  // What lightningd's own tests have for nodes in these folders: the folder's name, filled up with zeros, is the hsm_secret. @see contrib/pyln-testing
  it.each([
    ["lightning-1", "0266e4598d1d3c415f572a8488830b60f7e744ed9235eb0b1ba93283b315c03518"],
    ["lightning-2", "022d223620a359a47ff7f7ac447c85c46c923da53389221a0054c11c1e3ca31d59"],
    ["lightning-3", "035d2b1192dfba134e10e540875d366ebc8bc353d5aa766b80c090b39c3a5d885d"],
  ])("of lightningd's test node %s is its node id", (folder, nodeId) => {
    const secret = Buffer.alloc(32);
    secret.write(folder);
    expect(publicIdentityOf("cln-hsm-secret", secret)).toBe(nodeId);
  });

  // NIP-19's own example.
  it.each(["nsec1vl029mgpspedva04g90vltkh6fvh240zqtv9k0t9af8935ke9laqsnlfe5", "nsec1vl029mgpspedva04g90vltkh6fvh240zqtv9k0t9af8935ke9laqsnlfe5\n", "67dea2ed018072d675f5415ecfaed7d2597555e202d85b3d65ea4e58d2d92ffa\n"])("of a signer's key is what its npub holds: %j", (text) => {
    expect(publicIdentityOf("nsec", Buffer.from(text))).toBe("7e7e9c42a91bfef19fa929e5fda1b72e0ebc1a4c1141673e2794234d86addf4e");
  });

  it("of an onion key is its address: RFC 8032's first key", () => {
    const seed = Buffer.from("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60", "hex");
    expect(publicIdentityOf("onion-key", torFile(seed))).toBe("25njqamcweflpvkl73j4szahhihoc4xt3ktcgjnpaingr5yhkenl5sid.onion");
  });

  it("of an onion key holds the public key that OpenSSL computes, for any key", () => {
    for (let round = 0; round < 20; round++) {
      const seed = randomBytes(32);
      const key = createPrivateKey({ key: Buffer.concat([Buffer.from("302e020100300506032b657004220420", "hex"), seed]), format: "der", type: "pkcs8" });
      const [one] = [createPublicKey(key).export({ format: "der", type: "spki" }).subarray(-32)];
      const address = publicIdentityOf("onion-key", torFile(seed)).replace(".onion", "");
      const bits = [...address].map((letter) => "abcdefghijklmnopqrstuvwxyz234567".indexOf(letter).toString(2).padStart(5, "0")).join("");
      expect(Buffer.from(bits.match(/.{8}/g)!.slice(0, 32).map((byte) => Number.parseInt(byte, 2)))).toEqual(one);
    }
  });

  it.each([
    ["cln-hsm-secret", Buffer.alloc(73, 1), /32 bytes, and this has 73/],
    ["nsec", Buffer.from("nsec1vl029mgpspedva04g90vltkh6fvh240zqtv9k0t9af8935ke9laqsnlfe6"), /no Nostr private key/],
    ["nsec", Buffer.from("npub10elfcs4fr0l0r8af98jlmgdh9c8tcxjvz9qkw038js35mp4dma8qzvjptg"), /no Nostr private key/],
    ["nsec", Buffer.from("0".repeat(64)), /no Nostr private key/],
    ["onion-key", torFile(Buffer.alloc(32)).subarray(1), /no hs_ed25519_secret_key/],
    ["onion-key", Buffer.concat([torFile(Buffer.alloc(32)).subarray(0, 32), Buffer.alloc(64)]), /scalar is zero/],
  ] as const)("is not computed of what is no %s", (kind, secret, reason) => {
    expect(() => publicIdentityOf(kind, secret)).toThrow(reason);
    expect(() => publicIdentityOf(kind, secret)).toThrow(NoIdentity);
  });

  // NIP-19's own example.
  const npub = "npub10elfcs4fr0l0r8af98jlmgdh9c8tcxjvz9qkw038js35mp4dma8qzvjptg";
  const signer = "7e7e9c42a91bfef19fa929e5fda1b72e0ebc1a4c1141673e2794234d86addf4e";

  it("of a signer's file that the bunker has emptied is the one that it left there, and never passes for a secret", () => {
    for (const text of [npub, `${npub}\n`, "nsec1vl029mgpspedva04g90vltkh6fvh240zqtv9k0t9af8935ke9laqsnlfe5"]) expect(publicIdentityInPlace("nsec", Buffer.from(text))).toBe(signer);
    expect(() => publicIdentityOf("nsec", Buffer.from(npub))).toThrow(NoIdentity);
    for (const [kind, text] of [["nsec", npub.replace("f", "g")], ["nsec", `${npub} ${npub}`], ["nsec", ""], ["cln-hsm-secret", npub], ["onion-key", npub]] as const) {
      expect(() => publicIdentityInPlace(kind, Buffer.from(text)), `${kind} ${text}`).toThrow(NoIdentity);
    }
  });

  it("is written as npub and read back, whatever the key", () => {
    expect([publicKeyOfNpub(npub), npubOf(signer)]).toEqual([signer, npub]);
    fc.assert(fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (bytes) => {
      const hex = Buffer.from(bytes).toString("hex");
      expect(publicKeyOfNpub(npubOf(hex))).toBe(hex);
    }));
    fc.assert(fc.property(fc.string(), (text) => { expect(publicKeyOfNpub(text)).toBeUndefined(); }));
  });

  it("is computed, or refused with NoIdentity, whatever the bytes are, and they are never quoted", () => {
    fc.assert(fc.property(fc.constantFrom(...fileIdentityKinds), fc.uint8Array({ maxLength: 120 }), (kind, bytes) => {
      try {
        expect(publicIdentityOf(kind, bytes).length).toBeGreaterThan(60);
      } catch (error) {
        expect(error).toBeInstanceOf(NoIdentity);
        if (bytes.length > 12) expect((error as Error).message).not.toContain(Buffer.from(bytes).toString("latin1"));
      }
    }));
  });
});
