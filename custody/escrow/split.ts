import { randomBytes } from "node:crypto";
// Independently audited by Cure53 and by Zellic (reports are named in its README.md). It does not verify what it recombines: that is recoverIdentity's work.
import { split } from "shamir-secret-sharing";
import type { Share } from "../../formats/share.js";
import { kindOf } from "../recipients.js";
import { digestOf, recoverIdentity } from "./recover.js";

/** What a split is made for. */
export interface SplitRequest {
  readonly environment: string;
  /** The recovery recipient, whose identity is split. */
  readonly recipient: string;
  /** So many shares give the identity back. */
  readonly threshold: number;
  /** Names, one for each share. */
  readonly trustees: readonly string[];
}

/**
 * Splits the text of a recovery identity (`AGE-SECRET-KEY-…`) into one share for each trustee, in their order. That all identities begin alike gives nothing away: fewer shares than the threshold fit every text of that length.
 *
 * @see Shamir, "How to Share a Secret" (1979)
 */
export async function splitIdentity(identity: string, { environment, recipient, threshold, trustees }: SplitRequest): Promise<Share[]> {
  const parts = await split(new Uint8Array(Buffer.from(identity)), trustees.length, threshold);
  const id = randomBytes(16).toString("hex");
  return parts.map((part, index) => ({
    format: "holdfast-share/1", environment, split: id, trustee: trustees[index]!, threshold, shares: trustees.length, kind: kindOf(recipient), recovery: digestOf(recipient),
    share: Buffer.from(part).toString("base64"), digest: digestOf(part),
  }));
}

/**
 * Proves that shares give an identity back: as many subsets as there are shares, each of the least size, with every share in several of them.
 *
 * @throws when one of them does not
 */
export async function proveSplit(shares: readonly Share[], identity: string): Promise<void> {
  const threshold = shares[0]!.threshold;
  for (const start of shares.keys()) {
    const subset = Array.from({ length: threshold }, (_, step) => shares[(start + step) % shares.length]!);
    if ((await recoverIdentity(subset)).identity !== identity) throw new Error(`The shares of ${subset.map(({ trustee }) => trustee).join(", ")} do not give the recovery identity back. Nothing was written or deleted.`);
  }
}
