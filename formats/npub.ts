import { bech32 } from "@scure/base";

/**
 * The public key in `npub1…`, 64 hex digits; undefined for anything else, a mistyped one too.
 *
 * @see NIP-19
 */
export function publicKeyOfNpub(text: string): string | undefined {
  const bytes = bytesOf("npub", text);
  return bytes?.length === 32 ? Buffer.from(bytes).toString("hex") : undefined;
}

/** @param publicKey 64 hex digits */
export const npubOf = (publicKey: string): string => bech32.encode("npub", bech32.toWords(Buffer.from(publicKey, "hex")));

/** What a bare key of NIP-19 holds; undefined for anything else. */
export function bytesOf(prefix: "npub" | "nsec", text: string): Uint8Array | undefined {
  const decoded = text.startsWith(`${prefix}1`) ? bech32.decodeUnsafe(text as `${string}1${string}`) : undefined;
  return decoded?.prefix === prefix ? bech32.fromWordsUnsafe(decoded.words) ?? undefined : undefined;
}
