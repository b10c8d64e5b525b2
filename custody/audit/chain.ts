import { createHash } from "node:crypto";
import { auditLineSchema, type AuditEntry, type AuditHead, type AuditLine } from "../../formats/audit.js";
import { parseFormat } from "../../formats/versioned.js";

const NOTHING = "0".repeat(64);

/** Where a log without lines ends. */
export const emptyHead: AuditHead = { sequence: 0, hash: NOTHING };

const hashOf = (line: Omit<AuditLine, "hash">): string => createHash("sha256").update(JSON.stringify(line)).digest("hex");

/** The line that follows on a log's end. */
export function nextLine(head: AuditHead, entry: AuditEntry, at: { readonly time: Date; readonly who: string }): AuditLine {
  const { action, environment, subject, outcome, note } = entry;
  const line = {
    format: "holdfast-audit/1" as const, sequence: head.sequence + 1, time: at.time.toISOString(), who: at.who,
    action, environment, subject, outcome, ...(note !== undefined && { note }), previous: head.hash,
  };
  return { ...line, hash: hashOf(line) };
}

/** What a log says, and the first thing that is wrong with it. */
export interface Verified {
  readonly lines: readonly AuditLine[];
  readonly head: AuditHead;
  /** Names the line, counted from 1. Lines before it are as they were written. */
  readonly fault?: string;
}

/**
 * Follows a log's chain.
 *
 * @param known ends that are known from elsewhere: a log that stops before one of them was cut
 */
export function verifyChain(text: string, known: readonly AuditHead[] = []): Verified {
  const lines: AuditLine[] = [];
  let head = emptyHead;
  const broken = (fault: string): Verified => ({ lines, head, fault });
  const rows = text === "" ? [] : text.replace(/\n$/, "").split("\n");
  for (const [index, row] of rows.entries()) {
    let line: AuditLine;
    try {
      line = parseFormat(auditLineSchema, `line ${index + 1}`, row);
    } catch (error) {
      return broken((error as Error).message);
    }
    const { hash, ...rest } = line;
    if (line.sequence !== head.sequence + 1) return broken(`line ${index + 1} has number ${line.sequence}, and ${head.sequence + 1} was to come: lines are missing or were moved.`);
    if (line.previous !== head.hash) return broken(`line ${index + 1} does not follow on the one before it: one of the two was changed.`);
    if (hashOf(rest) !== hash) return broken(`line ${index + 1} is not what was written: its hash is another.`);
    lines.push(line);
    head = { sequence: line.sequence, hash };
  }
  const cut = known.find((one) => one.sequence > 0 && (one.sequence > head.sequence || lines[one.sequence - 1]?.hash !== one.hash));
  if (cut === undefined) return { lines, head };
  return broken(cut.sequence > head.sequence ? `the log ends with line ${head.sequence}, and had ${cut.sequence}: its end was cut off.` : `line ${cut.sequence} is another than the one that was noted elsewhere.`);
}
