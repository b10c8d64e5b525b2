import { createHash } from "node:crypto";
import { identityToRecipient } from "age-encryption";
import { combine } from "shamir-secret-sharing";
import type { Kit, Share } from "../../formats/share.js";

/** A recovery identity that was put together from shares. */
export interface Recovered {
  /** In clear: for this process's memory alone. */
  readonly identity: string;
  readonly recipient: string;
  readonly environment: string;
  /** Whose shares gave it. */
  readonly trustees: readonly string[];
}

/**
 * Puts a recovery identity together from at least as many shares as its split wants, and proves that it is the one that was split.
 *
 * @param kit what is known of the split, when it is at hand: names those who can still be asked, and finds a share that another was put in place of
 * @throws naming the trustees concerned, and never quoting a share: too few, damaged, foreign or repeated shares, or shares that give something else
 */
export async function recoverIdentity(shares: readonly Share[], kit?: Kit): Promise<Recovered> {
  const [first] = shares;
  if (first === undefined) throw new Error("There is no share. Give the trustees' shares, each with --share FILE.");
  requireOneSplit(shares);
  const known = kit?.environment === first.environment && kit.split === first.split ? kit : undefined;
  for (const share of shares) requireWhole(share, known);
  requireDistinct(shares);
  requireEnough(shares, known);
  const { identity, recipient } = await combined(shares);
  return { identity, recipient, environment: first.environment, trustees: shares.map(({ trustee }) => trustee) };
}

/** SHA-256 in hex. */
export const digestOf = (content: string | Uint8Array): string => createHash("sha256").update(content).digest("hex");

const names = (shares: readonly Share[]): string => shares.map(({ trustee }) => trustee).join(", ");

/** Values in which all shares of a split agree, and what two groups that differ in one are called. */
const COMMON = [
  { key: "environment", says: (share: Share): string => `of environment ${share.environment}` },
  { key: "split", says: (share: Share): string => `of split ${share.split.slice(0, 8)}` },
  { key: "recovery", says: (share: Share): string => `of the recovery identity ${share.recovery.slice(0, 8)}` },
  { key: "threshold", says: (share: Share): string => `of ${share.threshold} that are needed` },
  { key: "shares", says: (share: Share): string => `of ${share.shares} in all` },
  { key: "kind", says: (share: Share): string => `of a ${share.kind} identity` },
] as const;

function requireOneSplit(shares: readonly Share[]): void {
  for (const { key, says } of COMMON) {
    const groups = [...new Set(shares.map((share) => share[key]))].map((value) => shares.filter((share) => share[key] === value));
    if (groups.length < 2) continue;
    throw new Error(`These shares do not go together: ${groups.map((group) => `${names(group)}: ${says(group[0]!)}`).join("; ")}. Shares of different ${key === "environment" ? "environments" : "splits"} give nothing, however many there are. `
      + "Leave out those that do not belong, and ask their trustees for the share of the newest kit.");
  }
}

function requireWhole({ trustee, share, digest }: Share, kit: Kit | undefined): void {
  const remedy = `Ask ${trustee} to open it again from the page of the kit.`;
  if (digestOf(Buffer.from(share, "base64")) !== digest) throw new Error(`The share of ${trustee} is damaged: it is not what its digest says. ${remedy}`);
  if (kit === undefined) return;
  const entry = kit.trustees.find(({ name }) => name === trustee);
  if (entry === undefined) throw new Error(`A share says that it is ${trustee}'s, and the kit of this split has no such trustee. It has: ${kit.trustees.map(({ name }) => name).join(", ")}.`);
  if (entry.digest !== digest) throw new Error(`The share of ${trustee} is not the one that the kit names: another was put in its place. ${remedy}`);
}

function requireDistinct(shares: readonly Share[]): void {
  for (const [index, share] of shares.entries()) {
    const twin = shares.slice(0, index).find(({ trustee, digest }) => trustee === share.trustee || digest === share.digest);
    if (twin === undefined) continue;
    throw new Error(twin.trustee === share.trustee ? `The share of ${share.trustee} was given twice, and counts once. Give every file once.` : `The shares of ${twin.trustee} and ${share.trustee} are the same: one of them is not theirs.`);
  }
}

function requireEnough(shares: readonly Share[], kit: Kit | undefined): void {
  const { threshold, shares: total } = shares[0]!;
  const missing = threshold - shares.length;
  if (missing <= 0) return;
  const there = shares.map(({ trustee }) => trustee);
  const silent = kit?.trustees.map(({ name }) => name).filter((name) => !there.includes(name));
  throw new Error(`${shares.length} of the ${threshold} shares that are needed ${shares.length === 1 ? "is" : "are"} there (${there.join(", ")}); ${missing} more ${missing === 1 ? "is" : "are"} missing. `
    + (silent === undefined ? `There are ${total} in all; the kit, which names their trustees, is not at hand.` : `Not heard yet: ${silent.join(", ")}.`));
}

async function combined(shares: readonly Share[]): Promise<{ readonly identity: string; readonly recipient: string }> {
  const { recovery } = shares[0]!;
  const wrong = `The shares of ${names(shares)} do not give the recovery identity that was split: at least one of them was forged, digest and all. Leave one out in turn and ask another trustee, until the rest fits.`;
  let identity: string;
  try {
    identity = Buffer.from(await combine(shares.map(({ share }) => new Uint8Array(Buffer.from(share, "base64"))))).toString("latin1");
  } catch (error) {
    // Of other lengths, or two at one point: never of one split.
    throw new Error(wrong, { cause: error });
  }
  const recipient = /^AGE-SECRET-KEY-[0-9A-Z-]+$/.test(identity) ? await identityToRecipient(identity).catch(() => undefined) : undefined;
  if (recipient === undefined || digestOf(recipient) !== recovery) throw new Error(wrong);
  return { identity, recipient };
}
