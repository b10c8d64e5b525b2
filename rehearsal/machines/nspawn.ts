import { spawn } from "node:child_process";
import { existsSync, mkdirSync, openSync, closeSync, readdirSync, rmdirSync, statSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { Names } from "./names.js";
import { end, inCgroup, inNamespace, signal, startedWith, type Process } from "./processes.js";
import { until } from "../run.js";

/** What one boot of a machine needs to know. */
export interface Boot {
  readonly root: string;
  /** A folder shown read-only to the machine at /opt/rehearsal. */
  readonly programs?: string;
  /** The machine's own name for itself; its name here unless given. */
  readonly hostname?: string;
  /** More of this machine's folders, as `--bind=` takes them. */
  readonly binds?: readonly string[];
  /** A root for the first run alone: after a reboot it is the other again. */
  readonly firstRoot?: string;
  /** A command of this machine for when the machine has gone off by itself. */
  readonly afterwards?: string;
}

/** By this argument a machine's processes are found again, without a file that could be stale. */
const mark = ({ namespace }: Names): string => `--machine=${namespace}`;

/** @see systemd-nspawn(1). Not registered and in its own cgroup: the deploy machine need not run systemd. */
export function nspawnArguments(names: Names, { root, programs, hostname = names.name, binds = [] }: Boot): string[] {
  return [
    "systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--boot", `--directory=${root}`, mark(names), `--hostname=${hostname}`,
    `--network-namespace-path=/run/netns/${names.namespace}`, "--capability=CAP_NET_ADMIN", "--bind=/dev/net/tun",
    ...(programs ? [`--bind-ro=${programs}:/opt/rehearsal`] : []),
    ...binds.map((bind) => `--bind=${bind}`),
    "--resolv-conf=off", "--timezone=off", "--link-journal=no", "--console=read-only", "--settings=no",
  ];
}

/**
 * Runs nspawn in the machine's cgroup, again each time the machine reboots itself.
 *
 * @see systemd-nspawn(1): with --keep-unit a reboot of the machine is exit status 133
 */
export function launchArguments(argv: readonly string[], cgroups: readonly string[], { firstRoot, afterwards }: Pick<Boot, "firstRoot" | "afterwards"> = {}): string[] {
  const joinGroups = cgroups.map((cgroup) => `echo 0 > ${cgroup}/cgroup.procs; `).join("");
  const leave = afterwards ? `{ ${afterwards}; exit; }` : "exit";
  if (!firstRoot) return ["sh", "-c", `while :; do (${joinGroups}exec "$@"); [ $? = 133 ] || ${leave}; done`, "machine", ...argv];
  return ["sh", "-c", `first=$1; shift; while :; do (${joinGroups}exec "$@" \${first:+"$first"}); [ $? = 133 ] || ${leave}; first=; done`, "machine", `--directory=${firstRoot}`, ...argv];
}

/** The hierarchies in which systemd keeps its groups: one (unified), or two (hybrid). */
function hierarchies(): string[] {
  return ["/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd"].filter((path) => existsSync(join(path, "cgroup.procs")));
}

const cgroupsOf = ({ namespace }: Names): string[] => hierarchies().map((path) => join(path, "holdfast", namespace));

/** Boots the machine in a session of its own; it outlives this process. */
export function boot(names: Names, what: Boot): void {
  if (!existsSync("/dev/net/tun")) throw new Error('this machine has no /dev/net/tun, which WireGuard in a machine needs: "modprobe tun" makes it');
  const cgroups = cgroupsOf(names);
  for (const cgroup of cgroups) mkdirSync(cgroup, { recursive: true });
  const console = openSync(join(names.folder, "console.log"), "a", 0o600);
  const [program, ...args] = launchArguments(nspawnArguments(names, what), cgroups, what);
  const child = spawn(program!, args, {
    detached: true,
    cwd: "/",
    stdio: ["ignore", console, console],
    env: { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", TERM: "dumb", SYSTEMD_NSPAWN_API_VFS_WRITABLE: "network" },
  });
  child.on("error", (error) => {
    throw new Error(`the machine ${names.name} could not be started: ${error.message}`);
  });
  child.unref();
  closeSync(console);
}

const isLauncher = ({ argv }: Process): boolean => argv[0] === "sh";

/** Asks the machine's systemd to shut down, and does not wait. @see systemd-nspawn(1): --boot makes SIGTERM an orderly shutdown */
export function askToShutDown(names: Names): void {
  signal(startedWith(mark(names)).filter((one) => !isLauncher(one)), "SIGTERM");
}

/** What runs in the machine. */
export const processesIn = (names: Names): Process[] => [...cgroupsOf(names).flatMap(inCgroup), ...inNamespace(names.namespace)].filter(({ argv }) => !argv.includes(mark(names)));

/** Whether the machine's nspawn lives. */
export const isRunning = (names: Names): boolean => startedWith(mark(names)).length > 0;

/**
 * Shuts the machine down and removes what nspawn and its cgroups left. Does what is left to do.
 *
 * @param grace milliseconds that its systemd has for an orderly shutdown; 0 is pulling the plug
 */
export async function halt(names: Names, grace: number): Promise<void> {
  const nspawn = (): Process[] => startedWith(mark(names));
  await end(() => nspawn().filter(isLauncher), 0);
  await end(nspawn, grace);
  // The machine's own systemd survives an nspawn that was killed.
  await end(() => [...cgroupsOf(names).flatMap(inCgroup), ...inNamespace(names.namespace)], 0);
  await removeImageLock(names);
  await rm(join("/run/systemd/nspawn/propagate", names.namespace), { recursive: true, force: true });
  for (const cgroup of cgroupsOf(names)) await removeCgroup(cgroup);
}

/** An nspawn that was killed leaves its lock of the root's inode. */
async function removeImageLock({ folder }: Names): Promise<void> {
  const root = join(folder, "root");
  if (!existsSync(root)) return;
  const { dev, ino } = statSync(root);
  await rm(`/run/systemd/nspawn/locks/inode-${dev}:${ino}`, { force: true });
}

async function removeCgroup(cgroup: string): Promise<void> {
  await until(() => {
    if (existsSync(cgroup)) removeEmpty(cgroup);
    return !existsSync(cgroup);
  }, 5_000);
  const parent = join(cgroup, "..");
  if (existsSync(parent)) ifIdle(() => rmdirSync(parent));
}

function removeEmpty(cgroup: string): void {
  ifIdle(() => {
    for (const entry of readdirSync(cgroup, { withFileTypes: true })) {
      if (entry.isDirectory()) removeEmpty(join(cgroup, entry.name));
    }
    rmdirSync(cgroup);
  });
}

/** A cgroup that is still in use, or gone already, is no failure: whoever needs it gone asks again. */
function ifIdle(remove: () => void): void {
  try {
    remove();
  } catch (error) {
    if (!["EBUSY", "ENOTEMPTY", "ENOENT"].includes((error as NodeJS.ErrnoException).code ?? "")) throw error;
  }
}
