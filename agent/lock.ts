import { link, mkdir, rename, rm, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { readIfThere } from "./files.js";

/** Somebody alive holds the lock. */
export class Busy extends Error {}

export interface LockOptions {
  /** What the holder does, for whoever finds the lock taken: "activation of /nix/store/…". */
  readonly purpose: string;
  /** Milliseconds to wait for a live holder. */
  readonly wait: number;
}

/** One process of this boot. */
export interface ProcessIdentity {
  readonly pid: number;
  /** The process's start in clock ticks since boot: tells it from a later process of the same number. */
  readonly started: string;
}

interface Holder extends ProcessIdentity {
  readonly purpose: string;
  readonly since: string;
}

/**
 * Does some work as the only process that does it. A lock whose holder died is taken over.
 *
 * @param path of the lock file, on a file system that a reboot empties
 * @throws Busy when a live holder keeps it longer than the wait
 */
export async function withLock<T>(path: string, options: LockOptions, work: () => Promise<T>): Promise<T> {
  await take(path, options);
  try {
    return await work();
  } finally {
    await rm(path);
  }
}

let taken = 0;

async function take(path: string, { purpose, wait }: LockOptions): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const own = `${path}.${process.pid}.${taken++}`;
  const holder: Holder = { ...(await ownIdentity()), purpose, since: new Date().toISOString() };
  await writeFile(own, JSON.stringify(holder), { mode: 0o600 });
  try {
    for (const end = performance.now() + wait; !(await linked(own, path)); ) {
      const text = await readIfThere(path);
      if (text === undefined) continue;
      const found = JSON.parse(text) as Holder;
      if (!(await isAlive(found))) {
        if (await replaceDead(path, text, found, own)) return;
      } else if (performance.now() >= end) {
        throw new Busy(`${found.purpose} is in progress since ${found.since} (process ${found.pid}). Wait for its end, then try again.`);
      } else await sleep(50);
    }
  } finally {
    await rm(own, { force: true });
  }
}

/** Several may find the same dead holder. Whoever has the lock on that very holder's place replaces it; the next one finds it replaced. */
async function replaceDead(path: string, text: string, dead: ProcessIdentity, own: string): Promise<boolean> {
  return withLock(`${path}.after-${dead.pid}-${dead.started}`, { purpose: `the end of ${path}`, wait: 5000 }, async () => {
    if ((await readIfThere(path)) !== text) return false;
    await rename(own, path);
    return true;
  });
}

export async function ownIdentity(): Promise<ProcessIdentity> {
  return { pid: process.pid, started: (await startOf(process.pid))! };
}

export async function isAlive({ pid, started }: ProcessIdentity): Promise<boolean> {
  return (await startOf(pid)) === started;
}

async function linked(existing: string, path: string): Promise<boolean> {
  try {
    await link(existing, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

/** Field 22 of proc_pid_stat(5), counted after the program's name, which may hold spaces. */
async function startOf(pid: number): Promise<string | undefined> {
  const stat = await readIfThere(`/proc/${pid}/stat`);
  return stat?.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
}
