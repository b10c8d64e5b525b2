import { appendFile, mkdir, open, readFile, writeFile } from "node:fs/promises";
import { hostname, userInfo } from "node:os";
import { dirname } from "node:path";
import { lock } from "proper-lockfile";
import { auditHeadSchema, type AuditAction, type AuditEntry, type AuditHead } from "../../formats/audit.js";
import { parseFormat } from "../../formats/versioned.js";
import { emptyHead, nextLine, verifyChain } from "./chain.js";

/** The audit log of one environment: a file that only grows. */
export interface AuditLog {
  readonly file: string;
  readonly environment: string;
}

/**
 * Appends a line, on the disk before this returns. Several processes may do so at once.
 *
 * @throws when the log cannot be written, or its last line is not whole: what must be recorded must not happen unrecorded
 */
export async function record(log: AuditLog, entry: Omit<AuditEntry, "environment">): Promise<void> {
  await mkdir(dirname(log.file), { recursive: true, mode: 0o700 });
  await (await open(log.file, "a", 0o600)).close();
  const release = await lock(log.file, { stale: 20_000, retries: { retries: 60, minTimeout: 20, maxTimeout: 500 } });
  try {
    const text = await readFile(log.file, "utf8");
    const { head, fault } = verifyChain(text);
    if (fault !== undefined) throw new Error(`${log.file} cannot be added to: ${fault} Look at it with \`holdfast audit verify\`; move it away to begin a new one.`);
    const line = nextLine(head, { ...entry, environment: log.environment }, { time: new Date(), who: `${userInfo().username}@${hostname()}` });
    await appendFile(log.file, `${JSON.stringify(line)}\n`, { flush: true });
    await writeFile(headFile(log), JSON.stringify({ sequence: line.sequence, hash: line.hash }), { mode: 0o600 });
  } finally {
    await release();
  }
}

/** Does something that must leave a line: one before it begins, one when it is done or has failed. */
export async function recorded<T>(log: AuditLog, deed: { readonly action: AuditAction; readonly subject: string; readonly note?: string }, work: () => Promise<T>): Promise<T> {
  await record(log, { ...deed, outcome: "begun" });
  try {
    const result = await work();
    await record(log, { ...deed, outcome: "done" });
    return result;
  } catch (error) {
    await record(log, { ...deed, outcome: "failed", note: (error as Error).message.slice(0, 300) });
    throw error;
  }
}

/** Where the log ended at its last line, as noted beside it. */
export async function notedHead(log: AuditLog): Promise<AuditHead> {
  try {
    return parseFormat(auditHeadSchema, headFile(log), await readFile(headFile(log), "utf8"));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return emptyHead;
    throw error;
  }
}

const headFile = ({ file }: AuditLog): string => `${file}.head`;
