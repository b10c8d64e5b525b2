import { createECDH, createPrivateKey, createPublicKey, hkdfSync } from "node:crypto";

/**
 * Bytes that belong to a root and an id: the same two always give the same bytes.
 *
 * @param root at least 256 bits of entropy, kept in state
 * @param id immutable, unique in the environment, ends with the version that rotation raises
 * @see RFC 5869
 */
export const derive = (root: string, id: string, length: number): Buffer => Buffer.from(hkdfSync("sha256", root, "", id, length));

const ALPHANUMERIC = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const UNBIASED = 256 - (256 % ALPHANUMERIC.length);

/** A password of 20 alphanumeric characters (119 bits), as nix-bitcoin makes them. */
export function password(root: string, id: string): string {
  const letters = [...derive(root, id, 200)].filter((byte) => byte < UNBIASED).slice(0, 20);
  if (letters.length < 20) throw new Error(`${id}: 200 bytes held fewer than 20 unbiased letters. Raise the secret's version.`);
  return letters.map((byte) => ALPHANUMERIC[byte % ALPHANUMERIC.length]).join("");
}

/** Curve25519 keys as `wg` writes them: 32 bytes in base64. */
export interface WireguardKeys {
  readonly privateKey: string;
  readonly publicKey: string;
}

const PKCS8_X25519 = Buffer.from("302e020100300506032b656e04220420", "hex");

/** @see RFC 7748 section 5 (clamping) */
export function wireguardKeys(root: string, id: string): WireguardKeys {
  const scalar = derive(root, id, 32);
  scalar[0]! &= 248;
  scalar[31] = (scalar[31]! & 127) | 64;
  const privateKey = scalar.toString("base64");
  return { privateKey, publicKey: publicKeyOf(privateKey) };
}

/** What `wg pubkey` prints for a private key. */
export function publicKeyOf(privateKey: string): string {
  const key = createPrivateKey({ key: Buffer.concat([PKCS8_X25519, Buffer.from(privateKey, "base64")]), format: "der", type: "pkcs8" });
  return createPublicKey(key).export({ format: "der", type: "spki" }).subarray(-32).toString("base64");
}

const SECP256K1_ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;

/**
 * A secp256k1 private key, as Nostr has them: 64 hex digits. Made from more bits than it has, so that none is out of the curve's range and none is likelier than another.
 *
 * @see FIPS 186-5, A.2.1 (key pair generation by extra random bits)
 */
export const secp256k1PrivateKey = (root: string, id: string): string => scalarOf(root, id, SECP256K1_ORDER).toString(16).padStart(64, "0");

/** From 1 to one less than the order. */
const scalarOf = (root: string, id: string, order: bigint): bigint => (BigInt(`0x${derive(root, id, 48).toString("hex")}`) % (order - 1n)) + 1n;

const P256_ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;

/**
 * A P-256 private key as PKCS #8 in PEM.
 *
 * @see FIPS 186-5, A.2.1 (key pair generation by extra random bits)
 */
export function p256PrivateKey(root: string, id: string): string {
  const d = Buffer.from(scalarOf(root, id, P256_ORDER).toString(16).padStart(64, "0"), "hex");
  const ecdh = createECDH("prime256v1");
  ecdh.setPrivateKey(d);
  const point = ecdh.getPublicKey();
  const text = (bytes: Buffer): string => bytes.toString("base64url");
  const jwk = { kty: "EC", crv: "P-256", d: text(d), x: text(point.subarray(1, 33)), y: text(point.subarray(33)) };
  return createPrivateKey({ key: jwk, format: "jwk" }).export({ format: "pem", type: "pkcs8" }).toString();
}
