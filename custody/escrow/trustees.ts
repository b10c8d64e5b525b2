import { brief, kindOf, type RecipientKind } from "../recipients.js";

/** Somebody who is to keep a share. */
export interface Trustee {
  readonly name: string;
  /** Of an age identity that is the trustee's alone. */
  readonly recipient: string;
}

/** What trustees are held against. */
export interface TrusteeRules {
  readonly threshold: number;
  /** Of the recovery identity. */
  readonly kind: RecipientKind;
  /** Recipients that no trustee may have, each with whose it is, in words. */
  readonly taken: readonly { readonly recipient: string; readonly whose: string }[];
}

const MOST = 255;

/**
 * Refuses trustees with whom an escrow would be less than it says. Shares of a hybrid identity go to hybrid trustees alone: whoever breaks their seals would have the identity, which would then be as weak as a classical one.
 *
 * @throws naming the trustee and what to do
 */
export function requireTrustees(trustees: readonly Trustee[], { threshold, kind, taken }: TrusteeRules): void {
  if (!Number.isInteger(threshold) || threshold < 2) throw new Error(`--threshold ${threshold}: wants 2 or more. With 1, every trustee alone would have the recovery identity.`);
  if (trustees.length > MOST) throw new Error(`${trustees.length} trustees are too many: Shamir's scheme over bytes has ${MOST} shares.`);
  if (threshold > trustees.length) throw new Error(`--threshold ${threshold}, and ${trustees.length === 1 ? "one trustee is" : `${trustees.length} trustees are`} named: they could never recover anything. Name more with --trustee NAME=age1…, or lower the threshold.`);
  for (const [index, { name, recipient }] of trustees.entries()) {
    const before = trustees.slice(0, index);
    if (before.some((other) => other.name === name)) throw new Error(`Two trustees are called ${name}. A share is asked for by its trustee's name: give each one of their own.`);
    const twin = before.find((other) => other.recipient === recipient);
    if (twin !== undefined) throw new Error(`${twin.name} and ${name} have one recipient (${brief(recipient)}): who has its identity would have two shares. Every trustee makes an age identity of their own: age-keygen -o FILE.`);
    const owner = taken.find((other) => other.recipient === recipient);
    if (owner !== undefined) throw new Error(`${name}'s recipient (${brief(recipient)}) is ${owner.whose}: a share for it would lie beside what it is to recover. A trustee is another person with an identity of their own.`);
    if (kind === "hybrid" && kindOf(recipient) === "classical") throw new Error(`The recovery identity is post-quantum, and ${name}'s recipient (${brief(recipient)}) is classical: with such trustees the identity is as weak as a classical one. ${name} makes a hybrid one: age-keygen -pq -o FILE (age 1.3 or later).`);
  }
}
