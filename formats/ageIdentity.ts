import { bech32 } from "@scure/base";

/**
 * Whether a text is an age identity, classical or hybrid, whose checksum fits. To be asked before a library is given one: its errors quote what does not fit.
 *
 * @see https://age-encryption.org/v1, "X25519" and the hybrid recipient; BIP-173
 */
export function isAgeIdentity(text: string): boolean {
  if (!/^AGE-SECRET-KEY-(PQ-)?1[0-9A-Z]+$/.test(text)) return false;
  const decoded = bech32.decodeUnsafe(text as `${string}1${string}`, false);
  return decoded !== undefined && bech32.fromWordsUnsafe(decoded.words)?.length === 32;
}
