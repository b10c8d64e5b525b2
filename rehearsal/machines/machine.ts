import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { prepareDisk, mountDisk, unmountDisk } from "./disk.js";
import { ensureImage } from "./image.js";
import { alone } from "./lock.js";
import { checkAddress, checkPath, namesOf, type Names } from "./names.js";
import { boot, halt, isRunning } from "./nspawn.js";
import { attach, detach } from "./plumbing.js";
import { waitForSsh } from "./ssh.js";

/** What a stack's configuration says of a host. Exactly this is in `<state>/machines/<name>.json`. */
export interface HostFile {
  readonly address: string;
  readonly port: number;
  readonly user: string;
  /** Type and key in OpenSSH's form, no comment. */
  readonly hostKey: string;
  /** How many machines of this name there have been in this state folder. */
  readonly generation: number;
}

export interface MachineArgs {
  /** Where the image is, or will be made. */
  readonly cache: string;
  /** Where the machine lives, and its host file. */
  readonly state: string;
  readonly name: string;
  /** On the bridge: one of 10.231.0.0/16. */
  readonly address: string;
  /** An OpenSSH public key that may log in as root. */
  readonly authorizedKey: string;
  /** A folder that the machine sees, read-only, at /opt/rehearsal. */
  readonly programs?: string;
  /** An OpenSSH private key (ed25519, no passphrase) for the machine to be known by. A fresh one unless given. */
  readonly hostKey?: string;
  readonly report: (line: string) => void;
  readonly signal?: AbortSignal;
}

/** What is needed to start a machine again on the same disk. */
interface Start {
  readonly image: string;
  readonly host: HostFile;
  readonly programs?: string;
}

const LOCK_DEADLINE = 180_000;
const BOOT_DEADLINE = 60_000;
const SHUTDOWN_GRACE = 20_000;

const whileNobodyElse = <T>(names: Names, work: () => Promise<T>): Promise<T> => alone(`machine ${names.folder}`, LOCK_DEADLINE, work);
const startFile = ({ folder }: Names): string => join(folder, "start.json");

/**
 * Makes a machine and waits until it answers SSH with its host key. One that runs is left alone; one that died, or that
 * has other programs than are wanted now, is started again on its disk.
 *
 * @throws when its image cannot be built, its address is taken, or it does not answer in a minute
 */
export async function createMachine(args: MachineArgs): Promise<HostFile> {
  const names = namesOf(args.state, args.name);
  checkAddress(args.address);
  checkPath(resolve(args.state));
  if (args.programs) checkPath(resolve(args.programs));
  const image = await ensureImage({ cache: args.cache, report: args.report, ...(args.signal ? { signal: args.signal } : {}) });
  return whileNobodyElse(names, async () => {
    if (existsSync(names.hostFile) && existsSync(startFile(names))) {
      const start = await readStart(names);
      if (start.host.address !== args.address) throw new Error(`${args.name} is a machine at ${start.host.address}, and ${args.address} is wanted: delete it first, or ask for the address it has`);
      const wanted: Start = { image: start.image, host: start.host, ...(args.programs ? { programs: resolve(args.programs) } : {}) };
      if (isRunning(names) && wanted.programs === start.programs) return start.host;
      await writeWhole(startFile(names), wanted);
      await startAgain(names, wanted, args.report);
      return start.host;
    }
    await remove(names, 0);
    args.report(`making ${args.name}'s disk`);
    const generation = (await lastGeneration(names)) + 1;
    const hostKey = await prepareDisk(names, { address: args.address, generation, authorizedKey: args.authorizedKey, ...(args.hostKey ? { hostKey: args.hostKey } : {}) });
    const host: HostFile = { address: args.address, port: 22, user: "root", hostKey, generation };
    const start: Start = { image: image.root, host, ...(args.programs ? { programs: resolve(args.programs) } : {}) };
    await writeWhole(startFile(names), start);
    await startAgain(names, start, args.report);
    await writeWhole(names.generationFile, generation);
    await writeWhole(names.hostFile, host);
    args.report(`${args.name} is ready at ${host.address}`);
    return host;
  });
}

/** Shuts a machine down in order, and boots it from the same disk. @throws when there is no such machine */
export async function restartMachine(state: string, name: string, report: (line: string) => void): Promise<HostFile> {
  const names = namesOf(state, name);
  return whileNobodyElse(names, async () => {
    if (!existsSync(names.hostFile) || !existsSync(startFile(names))) throw new Error(`there is no machine ${name} in ${state}; "holdfast machine create ${name}" makes one`);
    const start = await readStart(names);
    report(`shutting ${name} down`);
    await startAgain(names, start, report);
    return start.host;
  });
}

async function startAgain(names: Names, { image, host, programs }: Start, report: (line: string) => void): Promise<void> {
  await halt(names, SHUTDOWN_GRACE);
  report(`mounting ${names.name}'s disk`);
  await mountDisk(names, image);
  report(`connecting ${names.name} to the bridge`);
  await attach(names, host.address);
  report(`booting ${names.name}`);
  boot(names, { root: join(names.folder, "root"), ...(programs ? { programs } : {}) });
  report(`waiting for ${names.name} at ${host.address}`);
  await waitForSsh(host.address, host.port, join(names.folder, "known_hosts"), BOOT_DEADLINE);
}

/** A machine as `holdfast machine list` shows it. */
export interface Listed {
  readonly name: string;
  readonly running: boolean;
  /** Absent when its making was cut short: create or delete it. */
  readonly host?: HostFile;
}

/** All machines of a state folder, half-made ones too, by name. */
export async function listMachines(state: string): Promise<Listed[]> {
  const folder = join(resolve(state), "machines");
  if (!existsSync(folder)) return [];
  const found = (await readdir(folder, { withFileTypes: true }))
    .map((entry) => (entry.isDirectory() ? entry.name : entry.name.match(/^(.*)\.json$/)?.[1]))
    .filter((name) => name !== undefined);
  return Promise.all([...new Set(found)].sort().map(async (name) => {
    const names = namesOf(state, name);
    return { name, running: isRunning(names), ...(existsSync(names.hostFile) ? { host: JSON.parse(await readFile(names.hostFile, "utf8")) as HostFile } : {}) };
  }));
}

/**
 * Deletes a machine, its disk and everything that was made for it, also after a create or a delete that was cut short. Deleting one that is not there is no failure.
 *
 * @param options.forget `"generation"` removes the counter too: the next machine of the name is the first again
 */
export async function deleteMachine(state: string, name: string, options: { readonly forget?: "generation" } = {}): Promise<void> {
  const names = namesOf(state, name);
  await whileNobodyElse(names, async () => {
    await remove(names, existsSync(names.hostFile) ? SHUTDOWN_GRACE : 0);
    if (options.forget === "generation") await rm(names.generationFile, { force: true });
  });
}

/** The host file goes first: without it, what is left is a half-made machine, and never taken for a whole one. */
async function remove(names: Names, grace: number): Promise<void> {
  await rm(names.hostFile, { force: true });
  await halt(names, grace);
  await detach(names);
  await unmountDisk(names);
  await rm(names.folder, { recursive: true, force: true, maxRetries: 3 });
}

async function lastGeneration({ generationFile }: Names): Promise<number> {
  return existsSync(generationFile) ? Number(await readFile(generationFile, "utf8")) : 0;
}

async function readStart(names: Names): Promise<Start> {
  return JSON.parse(await readFile(startFile(names), "utf8")) as Start;
}

async function writeWhole(path: string, value: unknown): Promise<void> {
  await mkdir(join(path, ".."), { recursive: true });
  await writeFile(`${path}.new`, `${JSON.stringify(value, null, 2)}\n`);
  await rename(`${path}.new`, path);
}
