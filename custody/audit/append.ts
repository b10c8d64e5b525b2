import { constants } from "node:fs";
import { appendFile, link, mkdir, open, readdir, readFile, rm, stat, type FileHandle } from "node:fs/promises";
import { randomUUID } from "node:crypto";
import { basename, dirname, join } from "node:path";
import type { AuditHead, AuditLine } from "../../formats/audit.js";
import { emptyHead, follow, printLine, verifyChain } from "./chain.js";
import { noteHead, readHead } from "./head.js";

/*
 * Appending without a lock, so that no killed process leaves one:
 *
 * 1. Whoever wants to write line N publishes a claim, a file that names N and holds the very bytes, by link(2): one claimant wins.
 * 2. The log must still end at N - 1 afterwards; otherwise the claim came too late and is withdrawn.
 * 3. The claimant, and everybody who waited too long for it, writes the claim's bytes at the one place where line N begins. Twice the same bytes are the same line.
 * 4. Once the line is on the disk, the claim is removed.
 *
 * Whoever finds the log still at N - 1 in (2) had the true claim in (1): a claim goes only after its line is there. So no line is ever written over by another.
 */

/** Milliseconds after which a line that cannot be written is an error. */
const DEADLINE = 30_000;
/** Bytes at the end of a log that are looked at before each line; a line has at most about 6,000. */
const WINDOW = 32_768;
/** A longer rest behind the last newline is none of ours. */
const LONGEST_TORN = 8_192;
/** Milliseconds that a claimant has before others write its line. */
const MOMENT = 15;
const ABANDONED = 60_000;

/** Where a log ends. */
interface End {
  readonly head: AuditHead;
  /** In bytes, behind the last newline. */
  readonly offset: number;
  /** What is behind it. */
  readonly rest: Buffer;
  /** The line that it is, when nothing but its newline is missing. */
  readonly whole: AuditLine | undefined;
  /** The last lines, as far as they were read. */
  readonly lines: readonly AuditLine[];
}

/** What is to be written at a log's end, before padding. */
export interface Appending {
  readonly line: (head: AuditHead) => AuditLine;
  /** The line that tells of a rest that was set aside. */
  readonly mending: (head: AuditHead, note: string) => AuditLine;
}

/**
 * Appends a line, on the disk before this returns. Any number of processes may do so at once, and any of them may be killed.
 *
 * @throws when the log cannot be written, was changed or was cut
 */
export async function append(file: string, { line, mending }: Appending): Promise<void> {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  const log = await open(file, constants.O_RDWR | constants.O_CREAT, 0o600);
  try {
    await clear(file, (await readEnd(log, file)).head.sequence);
    for (const until = Date.now() + DEADLINE; Date.now() < until;) {
      const end = await readEnd(log, file);
      if (end.rest.length === 0) {
        if (await write(log, file, end, line(end.head))) return;
      } else if (end.whole !== undefined) {
        await write(log, file, end, end.whole);
      } else if (await isTorn(log, file, end)) {
        await write(log, file, end, mending(end.head, await setAside(file, end.rest)));
      }
    }
  } finally {
    await log.close();
  }
  throw new Error(`${file}: no line could be added for ${DEADLINE / 1000} s, so much is written to it by others. Run the same command again.`);
}

/** One attempt to have a line follow on an end. False when another line was written there. */
async function write(log: FileHandle, file: string, end: End, line: AuditLine): Promise<boolean> {
  const claim = claimOf(file, line.sequence);
  const text = printLine(line);
  // As long as what it covers.
  const padding = " ".repeat(Math.max(0, end.rest.length - Buffer.byteLength(text)));
  if (!await publish(file, claim, Buffer.from(`${text}${padding}\n`))) await pause(MOMENT * (0.5 + Math.random()));
  return await finish(log, file, end, claim) && (await readEnd(log, file)).lines.some((one) => one.hash === line.hash);
}

/** Writes what a claim holds where the log ends, unless something is there by now. Whether the line that was claimed is on the disk. */
async function finish(log: FileHandle, file: string, end: End, claim: string): Promise<boolean> {
  const bytes = await readIfThere(claim);
  if (bytes !== undefined && follow(bytes.toString("utf8"), end.head).lines.length === 0) {
    // It follows on something else: on a log that lay here before.
    await rm(claim, { force: true });
    return false;
  }
  if (bytes !== undefined && (await readEnd(log, file)).head.sequence === end.head.sequence) await log.write(bytes, 0, bytes.length, end.offset);
  const now = await readEnd(log, file);
  await log.sync();
  if (now.head.sequence === end.head.sequence) return false;
  await noteHead(file, now.head);
  await rm(claim, { force: true });
  return true;
}

/** Where the log ends, once its last lines and the end noted beside it agree. */
async function readEnd(log: FileHandle, file: string): Promise<End> {
  const noted = await readHead(file);
  const { size } = await log.stat();
  const from = Math.max(0, size - WINDOW);
  const tail = await readFrom(log, from, size);
  // What precedes the window's first newline is the end of a line that is not looked at.
  const begin = from === 0 ? 0 : tail.indexOf(0x0a) + 1;
  const behind = tail.lastIndexOf(0x0a) + 1;
  const rest = tail.subarray(behind);
  const refuse = (fault: string): never => {
    throw new Error(`${file} cannot be added to: ${fault} Bring it back from version control, or move it and ${basename(file)}.head away to begin a new one; \`holdfast audit verify\` looks at all of it.`);
  };
  if (behind < begin || rest.length > LONGEST_TORN) return refuse(`it ends with ${rest.length} bytes that are no line.`);
  const { lines, head, fault } = follow(tail.subarray(begin, behind).toString("utf8"), from === 0 ? emptyHead : undefined);
  if (fault !== undefined) return refuse(fault);
  const [whole] = follow(rest.toString("utf8"), head).lines;
  const last = whole?.sequence ?? head.sequence;
  if (noted.sequence > last) return refuse(`it ends after line ${last}, and once had ${noted.sequence}: its end was cut off.`);
  const first = lines[0]?.sequence ?? 1;
  if (noted.sequence >= first && (lines[noted.sequence - first] ?? whole)?.hash !== noted.hash) return refuse(`line ${noted.sequence} is another than the one noted in ${basename(file)}.head.`);
  if (noted.sequence < first && first > 1) {
    const all = verifyChain((await readFrom(log, 0, from + behind)).toString("utf8"), [noted]);
    if (all.fault !== undefined) return refuse(all.fault);
  }
  return { head, offset: from + behind, rest, whole, lines };
}

/** Whether a rest stays as it is: nobody writes it. Finishes a line whose writer was killed. */
async function isTorn(log: FileHandle, file: string, end: End): Promise<boolean> {
  const claim = claimOf(file, end.head.sequence + 1);
  if (await readIfThere(claim) !== undefined) {
    await pause(MOMENT);
    await finish(log, file, end, claim);
    return false;
  }
  const now = await readEnd(log, file);
  return now.offset === end.offset && now.rest.equals(end.rest);
}

/** Keeps a line that was never finished beside the log, where a person can look at it. */
async function setAside(file: string, rest: Buffer): Promise<string> {
  await appendFile(`${file}.torn`, Buffer.concat([rest, Buffer.from("\n")]), { mode: 0o600, flush: true });
  return `${rest.length} bytes of a line that was never finished are now in ${basename(file)}.torn`;
}

const claimOf = (file: string, sequence: number): string => `${file}.claim-${sequence}`;

/** Whether this claim is the one that everybody sees. It appears with all its bytes or not at all. */
async function publish(file: string, claim: string, bytes: Buffer): Promise<boolean> {
  const draft = `${file}.draft-${randomUUID()}`;
  const handle = await open(draft, "wx", 0o600);
  try {
    await handle.writeFile(bytes);
    await handle.sync();
    await link(draft, claim);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  } finally {
    await handle.close();
    await rm(draft, { force: true });
  }
}

/** Removes what killed processes left: claims of lines that are there, and drafts that nobody will publish. */
async function clear(file: string, sequence: number): Promise<void> {
  const name = basename(file);
  for (const entry of await readdir(dirname(file))) {
    const path = join(dirname(file), entry);
    if (entry.startsWith(`${name}.claim-`) && Number(entry.slice(`${name}.claim-`.length)) <= sequence) await rm(path, { force: true });
    if (entry.startsWith(`${name}.draft-`) && await isAbandoned(path)) await rm(path, { force: true });
  }
}

async function isAbandoned(path: string): Promise<boolean> {
  try {
    return (await stat(path)).mtimeMs < Date.now() - ABANDONED;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
    throw error;
  }
}

async function readFrom(log: FileHandle, from: number, to: number): Promise<Buffer> {
  const bytes = Buffer.alloc(to - from);
  const { bytesRead } = await log.read(bytes, 0, bytes.length, from);
  return bytes.subarray(0, bytesRead);
}

async function readIfThere(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

const pause = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds));
