import { randomBytes } from "node:crypto";
import { link, mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/** Who holds a lock: a process id is given out again, so its start time and the boot tell it from a later one. */
export interface Owner {
  readonly pid: number;
  /** Start time in clock ticks since boot (field 22 of /proc/PID/stat), or an empty text where there is no /proc. */
  readonly started: string;
}

/** This process, or another one that lives; `undefined` when there is no such process. */
export async function ownerOf(pid: number): Promise<Owner | undefined> {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return undefined;
  }
  const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(ifMissing(""));
  // The second field is the program's name in brackets and may hold anything.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  // A zombie has ended: only its parent has not looked yet.
  return fields[0] === "Z" ? undefined : { pid, started: fields[19] ?? "" };
}

/** Whether the owner that a lock file names still runs. A file that cannot be read as one names nobody. */
export async function isAlive(text: string): Promise<boolean> {
  const [pid, started] = text.trim().split(" ");
  const owner = /^\d+$/.test(pid ?? "") ? await ownerOf(Number(pid)) : undefined;
  return owner !== undefined && owner.started === (started ?? "");
}

/**
 * Runs one thing at a time among all processes that name the same file. A lock whose owner has died is taken over.
 *
 * What the lock protects must bear two runs at once all the same (a hash for a name, an atomic rename at the end): the lock saves work, it does
 * not carry correctness.
 *
 * @param report gets one line when there is somebody to wait for
 * @param deadline in milliseconds
 */
export async function withLock<T>(
  file: string,
  options: { readonly report: (line: string) => void; readonly deadline: number; readonly signal?: AbortSignal | undefined },
  work: () => Promise<T>,
): Promise<T> {
  await mkdir(dirname(file), { recursive: true });
  const self = await ownerOf(process.pid);
  const mine = `${process.pid} ${self?.started ?? ""} ${randomBytes(8).toString("hex")}\n`;
  const until = Date.now() + options.deadline;
  let told = false;
  for (;;) {
    if (await take(file, mine)) break;
    const theirs = await readFile(file, "utf8").catch(ifMissing(undefined));
    if (theirs === undefined) continue;
    if (!(await isAlive(theirs))) {
      await discard(file, theirs);
      continue;
    }
    const pid = theirs.split(" ")[0];
    if (Date.now() > until) throw new Error(`process ${pid} has held ${file} for too long: see what it does, or end it and try again`);
    if (!told) options.report(`waiting for another build (process ${pid})`);
    told = true;
    await sleep(250, undefined, options.signal === undefined ? {} : { signal: options.signal });
  }
  try {
    return await work();
  } finally {
    await discard(file, mine);
  }
}

/** Makes the lock file with its whole content in one go, or says that there is one. */
async function take(file: string, content: string): Promise<boolean> {
  const draft = `${file}.${process.pid}-${randomBytes(4).toString("hex")}`;
  await writeFile(draft, content);
  try {
    await link(draft, file);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  } finally {
    await rm(draft, { force: true });
  }
}

/** Removes the lock if it still says what it said; another process may have been quicker, and its lock is put back. */
async function discard(file: string, content: string): Promise<void> {
  const aside = `${file}.${process.pid}-${randomBytes(4).toString("hex")}`;
  const moved = await rename(file, aside).then(() => true, ifMissing(false));
  if (!moved) return;
  if ((await readFile(aside, "utf8")) !== content) await link(aside, file).catch(ifExists);
  await rm(aside, { force: true });
}

function ifMissing<T>(instead: T): (error: NodeJS.ErrnoException) => T {
  return (error) => {
    if (error.code === "ENOENT" || error.code === "ESRCH") return instead;
    throw error;
  };
}

function ifExists(error: NodeJS.ErrnoException): void {
  if (error.code !== "EEXIST") throw error;
}
