import fc from "fast-check";
import { splitIdentity } from "../../../../custody/escrow/split.js";
import { newIdentity } from "../../../../custody/seal.js";
import type { Share } from "../../../../formats/share.js";

/** A split of a recovery identity of its own, and which of its shares are taken in which order. */
export interface ArbitrarySplit {
  readonly identity: string;
  readonly recipient: string;
  readonly shares: readonly Share[];
  /** All of them, mixed. */
  readonly mixed: readonly Share[];
}

const names = Array.from({ length: 255 }, (_, index) => `t${index}`);

/** Splits of every size. Identities are made once: they cost more than all the rest. */
export function splits(identities: readonly { readonly identity: string; readonly recipient: string }[], most = 12): fc.Arbitrary<() => Promise<ArbitrarySplit>> {
  return fc.record({ which: fc.nat(identities.length - 1), total: fc.integer({ min: 2, max: most }), rest: fc.nat(), order: fc.infiniteStream(fc.nat()) }).map(({ which, total, rest, order }) => async () => {
    const { identity, recipient } = identities[which]!;
    const shares = await splitIdentity(identity, { environment: "dev", recipient, threshold: 2 + (rest % (total - 1)), trustees: names.slice(0, total) });
    const mixed = shares.map((share) => ({ share, at: order.next().value as number })).sort((one, other) => one.at - other.at).map(({ share }) => share);
    return { identity, recipient, shares, mixed };
  });
}

/** A share one bit of which was changed, its digest left as it was. */
export const damaged = (share: Share): fc.Arbitrary<Share> => {
  const bytes = Buffer.from(share.share, "base64");
  return fc.record({ at: fc.nat(bytes.length - 1), bit: fc.nat(7) }).map(({ at, bit }) => {
    const changed = Buffer.from(bytes);
    changed[at]! ^= 1 << bit;
    return { ...share, share: changed.toString("base64") };
  });
};

export const someIdentities = () => Promise.all([newIdentity(), newIdentity(), newIdentity("hybrid")]);
