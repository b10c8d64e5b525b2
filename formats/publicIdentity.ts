import { ed25519 } from "@noble/curves/ed25519.js";
import { createECDH, createHash, hkdfSync } from "node:crypto";
import type { FileIdentityKind } from "./identity.js";
import { bytesOf, publicKeyOfNpub } from "./npub.js";

/** The bytes are no identity of their kind. Never quotes them. */
export class NoIdentity extends Error {}

/**
 * What the world sees of an identity that lies in a file: Core Lightning's node id, a signer's public key, an onion address.
 *
 * @param secret the very bytes of the file
 * @throws NoIdentity
 */
export function publicIdentityOf(kind: FileIdentityKind, secret: Uint8Array): string {
  switch (kind) {
    case "cln-hsm-secret": return clnNodeId(secret);
    case "nsec": return signerPublicKey(secret);
    case "onion-key": return onionAddress(secret);
  }
}

/**
 * The identity whose file this is, once its daemon has it. As `publicIdentityOf`, but for a signer's key: the bunker seals it into its keystore and leaves a file that holds `npub1…`
 * alone, which stands for the key from then on. That the keystore has it is the bunker's to say: it never makes one up.
 *
 * @param content the very bytes of the file
 * @throws NoIdentity
 */
export function publicIdentityInPlace(kind: FileIdentityKind, content: Uint8Array): string {
  const left = kind === "nsec" ? publicKeyOfNpub(Buffer.from(content).toString("latin1").trim()) : undefined;
  return left ?? publicIdentityOf(kind, content);
}

/**
 * The node id that lightningd derives from its `hsm_secret`, 66 hex digits.
 *
 * @see lightning tools/hsmtool.c, get_node_id: HKDF-SHA256 with the info "nodeid" and a 32-bit counter for salt, until the result is a private key
 */
function clnNodeId(secret: Uint8Array): string {
  if (secret.length !== 32) throw new NoIdentity(`An hsm_secret has 32 bytes, and this has ${secret.length}. One behind a passphrase (73 bytes) or made of words must be given as the bare secret: see lightning-hsmtool.`);
  for (let salt = 0; ; salt++) {
    const counter = Buffer.alloc(4);
    counter.writeUInt32LE(salt);
    const key = publicKeyOf(Buffer.from(hkdfSync("sha256", secret, counter, "nodeid", 32)));
    if (key !== undefined) return key.toString("hex");
  }
}

/**
 * The x-only public key of a Nostr private key, 64 hex digits.
 *
 * @param secret text: `nsec1…` or 64 hex digits, with or without a newline
 * @see NIP-01, NIP-19, BIP-340
 */
function signerPublicKey(secret: Uint8Array): string {
  const text = Buffer.from(secret).toString("latin1").trim();
  const key = /^[0-9a-fA-F]{64}$/.test(text) ? Buffer.from(text, "hex") : Buffer.from(bytesOf("nsec", text) ?? []);
  const point = key.length === 32 ? publicKeyOf(key) : undefined;
  if (point === undefined) throw new NoIdentity("This is no Nostr private key: it wants nsec1… or 64 hex digits.");
  return point.subarray(1).toString("hex");
}

/** secp256k1, compressed; undefined when the scalar is zero or too large. */
function publicKeyOf(privateKey: Buffer): Buffer | undefined {
  const curve = createECDH("secp256k1");
  try {
    curve.setPrivateKey(privateKey);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ERR_CRYPTO_INVALID_KEYTYPE" || (error as Error).message.includes("Private key is not valid")) return undefined;
    throw error;
  }
  return curve.getPublicKey(null, "compressed");
}

const TOR_HEADER = Buffer.from("== ed25519v1-secret: type0 ==\0\0\0", "latin1");
const ONION_VERSION = Buffer.of(3);

/**
 * The address of a version 3 onion service, with `.onion`.
 *
 * @param secret Tor's `hs_ed25519_secret_key`: a header of 32 bytes, then the expanded key (scalar and prefix)
 * @see Tor's rend-spec-v3, "Encoding onion addresses"
 */
function onionAddress(secret: Uint8Array): string {
  if (secret.length !== 96 || !TOR_HEADER.equals(secret.subarray(0, 32))) throw new NoIdentity(`This is no hs_ed25519_secret_key of Tor: it wants 96 bytes, of which the first are "== ed25519v1-secret: type0 ==".`);
  const scalar = BigInt(`0x${Buffer.from(secret.subarray(32, 64)).reverse().toString("hex")}`) % ed25519.Point.Fn.ORDER;
  if (scalar === 0n) throw new NoIdentity("This hs_ed25519_secret_key holds no key: its scalar is zero.");
  const key = Buffer.from(ed25519.Point.BASE.multiply(scalar).toBytes());
  const checksum = createHash("sha3-256").update(".onion checksum").update(key).update(ONION_VERSION).digest().subarray(0, 2);
  return `${base32(Buffer.concat([key, checksum, ONION_VERSION]))}.onion`;
}

/** RFC 4648, lower case; 35 bytes need no padding. */
function base32(bytes: Buffer): string {
  const bits = [...bytes].map((byte) => byte.toString(2).padStart(8, "0")).join("");
  return bits.replace(/.{5}/g, (five) => "abcdefghijklmnopqrstuvwxyz234567"[Number.parseInt(five, 2)]!);
}
