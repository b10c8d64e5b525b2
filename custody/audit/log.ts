import { readFile } from "node:fs/promises";
import { hostname, userInfo } from "node:os";
import type { AuditAction, AuditEntry, AuditHead } from "../../formats/audit.js";
import { append } from "./append.js";
import { nextLine, verifyChain, type Verified } from "./chain.js";
import { readHead } from "./head.js";

/** The audit log of one environment: a file that only grows. */
export interface AuditLog {
  readonly file: string;
  readonly environment: string;
}

/**
 * Appends a line, on the disk before this returns. Several processes may do so at once.
 *
 * @throws when the log cannot be written, was changed or was cut: what must be recorded must not happen unrecorded
 */
export async function record(log: AuditLog, entry: Omit<AuditEntry, "environment">): Promise<void> {
  const who = `${userName()}@${hostname()}`;
  const { environment } = log;
  try {
    await append(log.file, {
      line: (head) => nextLine(head, { ...entry, environment }, { time: new Date(), who }),
      mending: (head, note) => nextLine(head, { action: "log-mended", environment, subject: "an unfinished line", outcome: "done", note }, { time: new Date(), who }),
    });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === undefined || !UNWRITABLE.includes(code)) throw error;
    throw new Error(`${log.file} cannot be written (${code}), and what uses a key must leave a line there first. Nothing was done. Make its folder writable for ${userName()}, or name another as holdfast:records.`, { cause: error });
  }
}

const UNWRITABLE = ["EACCES", "EPERM", "EROFS", "ENOSPC", "EDQUOT", "ENOTDIR", "EISDIR"];

/** What must leave a line. */
export interface Deed<T> {
  readonly action: AuditAction;
  readonly subject: string;
  readonly note?: string;
  /** What the last line says of the result, instead of `note`. Never a value. */
  readonly told?: (result: T) => string;
}

/**
 * Does something that must leave a line: one before it begins, one when it is done or has failed.
 *
 * @throws what the work throws; and when its last line could not be written, though the work is done
 */
export async function recorded<T>(log: AuditLog, { told, ...deed }: Deed<T>, work: () => Promise<T>): Promise<T> {
  await record(log, { ...deed, outcome: "begun" });
  let result: T;
  try {
    result = await work();
  } catch (error) {
    await recordFailure(log, deed, error);
    throw error;
  }
  try {
    await record(log, { ...deed, outcome: "done", ...(told && { note: told(result) }) });
  } catch (error) {
    throw new Error(`${deed.action} of ${deed.subject} is done, and only its line in the audit log is missing: ${(error as Error).message}`, { cause: error });
  }
  return result;
}

async function recordFailure(log: AuditLog, deed: Omit<Deed<never>, "told">, failure: unknown): Promise<void> {
  const message = failure instanceof Error ? failure.message : String(failure);
  try {
    await record(log, { ...deed, outcome: "failed", note: withoutKeys(message) });
  } catch (error) {
    throw new Error(`${message} Its line in the audit log is missing too: ${(error as Error).message}`, { cause: failure });
  }
}

/** Our own errors quote no key; those of a library may. */
const withoutKeys = (text: string): string => text.replaceAll(/AGE-[A-Z-]*1[0-9A-Z]+/gi, (key) => `${key.slice(0, key.indexOf("1") + 1)}…`);

/** Where the log ended at its last line, as noted beside it. */
export const notedHead = (log: AuditLog): Promise<AuditHead> => readHead(log.file);

/**
 * Reads a log and follows its chain to the end noted beside it, and to those that are known from elsewhere.
 *
 * @returns a log without lines when there is no file
 */
export async function readLog(log: AuditLog, known: readonly AuditHead[] = []): Promise<Verified> {
  // First: lines that are added in between are none that were cut.
  const noted = await notedHead(log);
  return verifyChain(await readText(log.file), [noted, ...known]);
}

async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return "";
    throw error;
  }
}

/** A user without an entry in the user database is known by number. */
function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return String(process.getuid?.() ?? "unknown");
  }
}
