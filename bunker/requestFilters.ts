import type { Keyring } from "./keyring/keyring.js";
import type { PublicKey } from "./model.js";
import type { Filter } from "./relays/relays.js";

/** What relays are asked for; from when on, each relay's supervisor knows. */
export interface RequestFilters {
  (): Filter[];
  /** Changes when other keys are to be heard than before. */
  readonly subject: () => string;
}

/** Relays bound how many values a filter may have. */
const KEYS_IN_ONE = 500;

/** Admin requests to the bunker's own identity; clients' requests to every key whose public key is known, locked or not. */
export function requestFilters(identity: PublicKey, keyring: Pick<Keyring, "names">): RequestFilters {
  const keys = (): PublicKey[] => keyring.names().flatMap(({ publicKey }) => publicKey ?? []).sort();
  const filters = (): Filter[] => {
    const all = keys();
    const parts = Array.from({ length: Math.ceil(all.length / KEYS_IN_ONE) }, (_, index) => all.slice(index * KEYS_IN_ONE, (index + 1) * KEYS_IN_ONE));
    return [{ kinds: [24_133, 24_134], "#p": [identity] }, ...parts.map((part) => ({ kinds: [24_133], "#p": part }))];
  };
  return Object.assign(filters, { subject: () => keys().join(" ") });
}
