import { decode } from "nostr-tools/nip19";
import { generateSecretKey, getPublicKey } from "nostr-tools/pure";
import type { PublicKey } from "../model.js";

/** What is no secret key of secp256k1. Never quotes it. */
export class NoSecretKey extends Error {}

export const newSecretKey = (): Uint8Array => generateSecretKey();

/** @throws NoSecretKey when it is none: not 32 bytes, zero, or not below the curve's order */
export function publicKeyOf(secretKey: Uint8Array): PublicKey {
  try {
    return getPublicKey(secretKey);
  } catch {
    throw new NoSecretKey(`these ${secretKey.length} bytes are no secret key`);
  }
}

/**
 * A secret key from `nsec1…` or 64 hex digits.
 *
 * @throws NoSecretKey, which never quotes the text
 */
export function parseSecretKey(text: string): Uint8Array {
  const secretKey = /^[0-9a-fA-F]{64}$/.test(text) ? Uint8Array.from(Buffer.from(text, "hex")) : fromNsec(text);
  publicKeyOf(secretKey);
  return secretKey;
}

function fromNsec(text: string): Uint8Array {
  // The library's errors quote what does not fit.
  try {
    const { type, data } = decode(text);
    if (type === "nsec") return data;
  } catch {
    throw new NoSecretKey("it is neither an nsec nor 64 hex digits");
  }
  throw new NoSecretKey("it is an address of nostr, and no nsec");
}
