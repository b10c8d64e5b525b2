import { createHash } from "node:crypto";
import { auditLineSchema, type AuditEntry, type AuditHead, type AuditLine } from "../../formats/audit.js";
import { parseFormat } from "../../formats/versioned.js";

const NOTHING = "0".repeat(64);

/** Where a log without lines ends. */
export const emptyHead: AuditHead = { sequence: 0, hash: NOTHING };

/** What is hashed, in the one order in which it is written. */
function hashed({ sequence, time, who, action, environment, subject, outcome, note, previous }: Omit<AuditLine, "format" | "hash">): Omit<AuditLine, "hash"> {
  return { format: "holdfast-audit/1", sequence, time, who, action, environment, subject, outcome, ...(note !== undefined && { note }), previous };
}

const hashOf = (line: Omit<AuditLine, "hash">): string => createHash("sha256").update(JSON.stringify(line)).digest("hex");

const LONGEST_SUBJECT = 300;
const LONGEST_NOTE = 500;
const clipped = (text: string, longest: number): string => (text.length > longest ? `${text.slice(0, longest - 1)}…` : text);

/** The line that follows on a log's end. What is too long for a line is clipped: a deed is never unrecorded for its words. */
export function nextLine(head: AuditHead, entry: AuditEntry, at: { readonly time: Date; readonly who: string }): AuditLine {
  const line = hashed({
    ...entry, sequence: head.sequence + 1, time: at.time.toISOString(), who: at.who, previous: head.hash,
    subject: clipped(entry.subject, LONGEST_SUBJECT), ...(entry.note !== undefined && { note: clipped(entry.note, LONGEST_NOTE) }),
  });
  return auditLineSchema.parse({ ...line, hash: hashOf(line) });
}

/** A line as it stands in the log, without its newline. */
export const printLine = (line: AuditLine): string => JSON.stringify({ ...hashed(line), hash: line.hash });

export const headOf = ({ sequence, hash }: AuditLine): AuditHead => ({ sequence, hash });

/** What a log says, and the first thing that is wrong with it. */
export interface Verified {
  readonly lines: readonly AuditLine[];
  readonly head: AuditHead;
  /** Names the line, counted from 1. Lines before it are as they were written. */
  readonly fault?: string;
  /** Bytes after the last line that are no line: somebody was cut short while writing, or writes right now. */
  readonly torn?: number;
}

/**
 * Follows a log's chain.
 *
 * @param known ends that are known from elsewhere: a log that stops before one of them was cut
 */
export function verifyChain(text: string, known: readonly AuditHead[] = []): Verified {
  const verified = follow(text, emptyHead);
  if (verified.fault !== undefined) return verified;
  const { lines, head, torn } = verified;
  const cut = known.find((one) => one.sequence > 0 && lines[one.sequence - 1]?.hash !== one.hash);
  if (cut === undefined) return verified;
  const fault = cut.sequence > head.sequence
    ? `the log ends after line ${head.sequence}, and once had ${cut.sequence}: its end was cut off.`
    : `line ${cut.sequence} is another than the one that was noted elsewhere.`;
  return { lines, head, fault, ...(torn !== undefined && { torn }) };
}

/**
 * Follows the chain through a part of a log.
 *
 * @param text whole lines, from one on; behind the last newline a line that is not whole
 * @param before the end of what precedes it, or nothing when the first line is to be believed
 */
export function follow(text: string, before: AuditHead | undefined): Verified {
  const rows = text.split("\n");
  const rest = rows.pop()!;
  const lines: AuditLine[] = [];
  let head = before;
  const add = (row: string, number: number): string | undefined => {
    const line = lineOf(row, number);
    if (typeof line === "string") return line;
    if (head !== undefined && line.sequence !== head.sequence + 1) return `line ${number} has number ${line.sequence}, and ${head.sequence + 1} was to come: lines are missing or were moved.`;
    if (head !== undefined && line.previous !== head.hash) return `line ${number} does not follow on the one before it: one of the two was changed.`;
    lines.push(line);
    head = headOf(line);
    return undefined;
  };
  for (const [index, row] of rows.entries()) {
    const fault = add(row, before === undefined && head === undefined ? numberIn(row) : (head?.sequence ?? index) + 1);
    if (fault !== undefined) return { lines, head: head ?? emptyHead, fault };
  }
  // Without its newline a last line may be whole all the same.
  const torn = rest !== "" && add(rest, (head?.sequence ?? 0) + 1) !== undefined;
  return { lines, head: head ?? emptyHead, ...(torn && { torn: Buffer.byteLength(rest) }) };
}

/** The line in a row, or what is wrong with it: a changed character is seen wherever it is. */
function lineOf(row: string, number: number): AuditLine | string {
  let line: AuditLine;
  try {
    line = parseFormat(auditLineSchema, `line ${number}`, row);
  } catch (error) {
    return (error as Error).message;
  }
  // Spaces at the end are what covers a line that was never finished.
  if (row.trimEnd() !== printLine(line)) return `line ${number} is not what was written: it has other characters.`;
  if (hashOf(hashed(line)) !== line.hash) return `line ${number} is not what was written: its hash is another.`;
  return line;
}

const numberIn = (row: string): number => Number(/^\{"format":"[^"]*","sequence":(\d{1,15}),/.exec(row)?.[1] ?? 0);
