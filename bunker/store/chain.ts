import { createHash } from "node:crypto";
import type { AuditLine, Deed, Time } from "../model.js";

export interface AuditHead {
  readonly sequence: number;
  readonly hash: string;
}

/** What comes before the first line. */
export const emptyHead: AuditHead = { sequence: 0, hash: "0".repeat(64) };

const LONGEST_TEXT = 500;

/** SHA-256, in hex, of a line's JSON without its hash: these properties, in this order, absent ones left out. */
export function hashOf({ sequence, time, action, who, keyName, kind, counterparty, outcome, note, contentHash, previous }: Omit<AuditLine, "hash">): string {
  return createHash("sha256").update(JSON.stringify({ sequence, time, action, who, keyName, kind, counterparty, outcome, note, contentHash, previous })).digest("hex");
}

/** The line that follows on a head. What is too long is clipped, and what a database would not give back as it was is left out: a deed is never unrecorded for its words. */
export function nextLine(head: AuditHead, deed: Deed, time: Time): AuditLine {
  const { action, who, keyName, counterparty, note, contentHash, ...rest } = deed;
  const line = {
    ...rest, action: kept(action), who: kept(who), sequence: head.sequence + 1, time, previous: head.hash,
    ...(keyName !== undefined && { keyName: kept(keyName) }), ...(counterparty !== undefined && { counterparty: kept(counterparty) }),
    ...(note !== undefined && { note: kept(note) }), ...(contentHash !== undefined && { contentHash: kept(contentHash) }),
  };
  return { ...line, hash: hashOf(line) };
}

/** Without zero bytes and halves of surrogate pairs, and no longer than a line may be. */
function kept(text: string): string {
  const whole = Buffer.from(text.replaceAll("\0", "")).toString();
  return whole.length > LONGEST_TEXT ? `${Buffer.from(whole.slice(0, LONGEST_TEXT - 1)).toString()}…` : whole;
}

/** What is wrong with a line that comes after a head, in words; undefined when nothing is. */
export function faultIn(line: AuditLine, before: AuditHead): string | undefined {
  const expected = before.sequence + 1;
  if (line.sequence !== expected) return `line ${line.sequence} stands where line ${expected} was to come: lines are missing or were put in.`;
  if (line.previous !== before.hash) return `line ${line.sequence} does not follow on the one before it: one of the two was changed or put in.`;
  if (hashOf(line) !== line.hash) return `line ${line.sequence} is not what was written: its hash is another.`;
  return undefined;
}
