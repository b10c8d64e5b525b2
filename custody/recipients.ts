/** `hybrid` resists a quantum computer. A plugin's recipient is classical unless its name says otherwise: the plugin itself refuses what it must. */
export type RecipientKind = "classical" | "hybrid";

const HYBRID = /^age1(pq|tagpq)1/;

/** Which kind of age recipient this is. @see https://age-encryption.org/v1, "X25519" and the hybrid "mlkem768x25519" recipient */
export const kindOf = (recipient: string): RecipientKind => (HYBRID.test(recipient) ? "hybrid" : "classical");

/** Whether a recipient belongs to a plugin (`age1yubikey1…`), so that the age program must seal for it. */
export const isPlugin = (recipient: string): boolean => /^age1[a-z0-9]+1/.test(recipient) && !/^age1pq1/.test(recipient);

/**
 * Refuses to seal one thing for hybrid and classical recipients: whoever breaks the classical ones would read what the others were to protect. The library does not refuse it by itself.
 *
 * @throws naming one recipient of each kind and what to do
 */
export function requireOneKind(recipients: readonly string[]): void {
  const hybrid = recipients.find((one) => kindOf(one) === "hybrid");
  const classical = recipients.find((one) => kindOf(one) === "classical");
  if (hybrid === undefined || classical === undefined) return;
  throw new Error(`${brief(classical)} is a classical recipient and ${brief(hybrid)} a post-quantum one: sealed for both, a thing is as weak as the first. Use one kind for all recipients of an environment.`);
}

const brief = (recipient: string): string => (recipient.length > 24 ? `${recipient.slice(0, 20)}…` : recipient);
