import { existsSync, readdirSync, readFileSync, readlinkSync, statSync } from "node:fs";
import { join } from "node:path";
import { until } from "../run.js";

/** A living process of this machine, as /proc shows it. */
export interface Process {
  readonly pid: number;
  readonly argv: readonly string[];
}

/** Reads something of a process that may end at any moment: then it has nothing to say. */
export function ifAlive<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (["ENOENT", "ESRCH", "EACCES", "ENODEV", "EINVAL"].includes((error as NodeJS.ErrnoException).code ?? "")) return undefined;
    throw error;
  }
}

/** All living processes; a zombie has no arguments and is not one of them. */
export function processes(): Process[] {
  return readdirSync("/proc")
    .filter((entry) => /^\d+$/.test(entry))
    .map((pid) => ({ pid: Number(pid), argv: (ifAlive(() => readFileSync(`/proc/${pid}/cmdline`, "utf8")) ?? "").split("\0").slice(0, -1) }))
    .filter(({ argv }) => argv.length > 0);
}

/** The processes that were started with exactly this argument. */
export const startedWith = (argument: string): Process[] => processes().filter(({ argv }) => argv.includes(argument));

/** The processes in a named network namespace, whoever started them. */
export function inNamespace(namespace: string): Process[] {
  const path = `/run/netns/${namespace}`;
  if (!existsSync(path)) return [];
  const wanted = `net:[${statSync(path).ino}]`;
  return processes().filter(({ pid }) => ifAlive(() => readlinkSync(`/proc/${pid}/ns/net`)) === wanted);
}

/** The processes in a cgroup and in those below it. */
export function inCgroup(cgroup: string): Process[] {
  const pids = new Set((ifAlive(() => readFileSync(join(cgroup, "cgroup.procs"), "utf8")) ?? "").split("\n").filter((pid) => pid !== "").map(Number));
  const below = ifAlive(() => readdirSync(cgroup, { withFileTypes: true })) ?? [];
  return [
    ...(pids.size > 0 ? processes().filter(({ pid }) => pids.has(pid)) : []),
    ...below.filter((entry) => entry.isDirectory()).flatMap((entry) => inCgroup(join(cgroup, entry.name))),
  ];
}

export function signal(pids: readonly Process[], name: NodeJS.Signals): void {
  for (const { pid } of pids) {
    try {
      process.kill(pid, name);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
    }
  }
}

/**
 * Ends processes: politely first, by force after `grace` milliseconds.
 *
 * @param who is asked again and again, so that a process born meanwhile is found too
 * @throws when some are still there ten seconds after SIGKILL
 */
export async function end(who: () => Process[], grace: number): Promise<void> {
  if (grace > 0) {
    signal(who(), "SIGTERM");
    if (await until(() => who().length === 0, grace)) return;
  }
  const gone = await until(() => {
    const left = who();
    signal(left, "SIGKILL");
    return left.length === 0;
  }, 10_000);
  if (!gone) throw new Error(`process ${who().map(({ pid }) => pid).join(", ")} does not end, not even by SIGKILL: it may wait for a disk; look at it with "cat /proc/PID/stack"`);
}
