/** `hybrid` resists a quantum computer. */
export type RecipientKind = "classical" | "hybrid";

const HYBRID = /^age1(pq|tagpq)1/;
/** Kinds with a name of their own that need no plugin to seal. */
const NATIVE = /^age1(pq|tag|tagpq)1/;
const PLUGIN = /^age1[a-z0-9+._-]+1[02-9ac-hj-np-z]{6,}$/;

/**
 * Which kind of age recipient this is. A plugin of which nothing is known counts as classical: mixed with hybrid ones it is refused rather than trusted.
 *
 * @see https://age-encryption.org/v1, "X25519" and the hybrid "mlkem768x25519" recipient
 */
export const kindOf = (recipient: string): RecipientKind => (HYBRID.test(recipient) ? "hybrid" : "classical");

/** Whether a recipient belongs to a plugin (`age1yubikey1…`), so that the age program must seal for it. */
export const isPlugin = (recipient: string): boolean => PLUGIN.test(recipient) && !NATIVE.test(recipient);

/**
 * Refuses to seal one thing for hybrid and classical recipients: whoever breaks the classical ones would read what the others were to protect. The library does not refuse it by itself.
 *
 * @throws naming one recipient of each kind and what to do
 */
export function requireOneKind(recipients: readonly string[]): void {
  const mixed = mixedKinds(recipients);
  if (mixed === undefined) return;
  throw new Error(`${brief(mixed.classical)} is a classical recipient and ${brief(mixed.hybrid)} a post-quantum one: sealed for both, a thing is as weak as the first. Use one kind for all recipients of an environment.`);
}

/** One recipient of each kind where there are both. */
export function mixedKinds(recipients: readonly string[]): { readonly classical: string; readonly hybrid: string } | undefined {
  const hybrid = recipients.find((one) => kindOf(one) === "hybrid");
  const classical = recipients.find((one) => kindOf(one) === "classical");
  return hybrid === undefined || classical === undefined ? undefined : { classical, hybrid };
}

/** A recipient short enough for a message: hybrid ones have two thousand letters. */
export const brief = (recipient: string): string => (recipient.length > 24 ? `${recipient.slice(0, 20)}…` : recipient);
