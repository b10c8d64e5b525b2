import { randomBytes } from "node:crypto";
import type { Filter } from "nostr-tools/filter";
import { finalizeEvent, getPublicKey, type NostrEvent } from "nostr-tools/pure";

/** Of clients' requests (NIP-46), so that a relay which admits no other kind, or not this one, is found out. */
const KIND = 24_133;
/** In a `t` tag; with the author it tells a probe from any request. */
const MARK = "holdfast-probe";

/** What the bunker sends to itself: an ephemeral event of kind 24133 from its own identity to its own identity, tagged `t` = `holdfast-probe`, with random content. Nobody else ever sees one. */
export interface Probes {
  readonly filter: Filter;
  make(): NostrEvent;
  /** Also for those of somebody else who runs under this identity. */
  isProbe(event: NostrEvent): boolean;
}

export function createProbes(secretKey: Uint8Array): Probes {
  const self = getPublicKey(secretKey);
  return {
    filter: { kinds: [KIND], authors: [self], "#p": [self] },
    make: () => finalizeEvent({ kind: KIND, created_at: Math.floor(Date.now() / 1_000), tags: [["p", self], ["t", MARK]], content: randomBytes(16).toString("hex") }, secretKey),
    isProbe: ({ kind, pubkey, tags }) => kind === KIND && pubkey === self && tags.some(([name, value]) => name === "t" && value === MARK),
  };
}
