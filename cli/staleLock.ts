import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** What Pulumi's file backend writes into a lock. @see pulumi pkg/backend/diy/lock.go */
interface LockContent {
  readonly pid: number;
  readonly username: string;
  readonly hostname: string;
}

/**
 * Removes a stack's locks whose process is dead and ran on this machine: what a killed deployer leaves behind. Any other lock stays.
 *
 * @param backend only `file://` backends hold such locks
 * @returns a line for each lock that was removed
 */
export function clearStaleLocks(backend: string, projectName: string, stack: string): string[] {
  if (!backend.startsWith("file://")) return [];
  const folder = join(fileURLToPath(backend), ".pulumi", "locks", "organization", projectName, stack);
  return locksIn(folder).flatMap((name) => {
    const file = join(folder, name);
    const lock = JSON.parse(readFileSync(file, "utf8")) as LockContent;
    if (lock.hostname !== hostname() || isAlive(lock.pid)) return [];
    rmSync(file);
    return [`cleared the lock of process ${lock.pid}, which is dead`];
  });
}

function locksIn(folder: string): string[] {
  try {
    return readdirSync(folder).filter((name) => name.endsWith(".json"));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}

/** Whether a process runs. One that has ended and whose parent did not ask how (a zombie) still takes signals. @see kill(2), signal 0; proc_pid_stat(5), field 3 */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    const stat = `/proc/${pid}/stat`;
    return !existsSync(stat) || !/^.*\) [ZX] /s.test(readFileSync(stat, "utf8"));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ESRCH" || code === "ENOENT") return false;
    if (code === "EPERM") return true;
    throw error;
  }
}
