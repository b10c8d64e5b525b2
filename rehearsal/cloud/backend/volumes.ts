import { existsSync, statSync } from "node:fs";
import { mkdir, open, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { alone } from "../../machines/lock.js";
import { attempt, run, until } from "../../run.js";

const GIGABYTE = 2 ** 30;
const LOOP_DEADLINE = 30_000;
const RELEASE_DEADLINE = 10_000;

/** The file that holds a volume's data: as long as the volume, and as large on the disk as what was written to it. */
export const fileOfVolume = (folder: string, id: number): string => join(folder, `${id}.img`);

/** Makes a volume, empty. One that is there keeps its data. @param size in GB */
export async function makeVolume(folder: string, id: number, size: number): Promise<void> {
  const file = fileOfVolume(folder, id);
  if (existsSync(file)) return;
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await setLength(`${file}.new`, size * GIGABYTE);
  await rename(`${file}.new`, file);
}

/** Makes a volume larger, also while it is in use; the file system on it is the user's affair. @throws when it would be smaller */
export async function growVolume(folder: string, id: number, size: number): Promise<void> {
  const file = checkVolume(folder, id);
  const [now, wanted] = [statSync(file).size, size * GIGABYTE];
  if (wanted < now) throw new Error(`volume ${id} has ${now / GIGABYTE} GB, and a volume cannot become smaller: ${size} GB would cut off what is on it`);
  await setLength(file, wanted);
  const device = await deviceOf(folder, id);
  if (device) await run(["losetup", "--set-capacity", device]);
}

/** @throws when there is no such volume */
export function checkVolume(folder: string, id: number): string {
  const file = fileOfVolume(folder, id);
  if (!existsSync(file)) throw new Error(`there is no volume ${id} in ${folder}: create it first`);
  return file;
}

/** The block device that shows a volume's data. It is made when there is none, for instance after this machine was started again. */
export async function plugVolume(folder: string, id: number): Promise<string> {
  const file = checkVolume(folder, id);
  return alone("loop devices", LOOP_DEADLINE, async () => (await deviceOf(folder, id)) ?? (await run(["losetup", "--find", "--show", file])).trim());
}

/** Takes a volume's block device away. @throws when something still uses it after ten seconds */
export async function unplugVolume(folder: string, id: number): Promise<void> {
  let last = "";
  const gone = await until(async () => {
    const device = await deviceOf(folder, id);
    if (!device) return true;
    last = (await attempt(["losetup", "--detach", device])).stderr.trim() || `${device} is in use`;
    return (await deviceOf(folder, id)) === undefined;
  }, RELEASE_DEADLINE, 100);
  if (!gone) throw new Error(`volume ${id} cannot be detached: ${last}. A program in its server has it open: end it (or power the server off), then try again.`);
}

/** Removes a volume and its data. One that is not there is no failure. */
export async function removeVolume(folder: string, id: number): Promise<void> {
  await unplugVolume(folder, id);
  for (const file of [fileOfVolume(folder, id), `${fileOfVolume(folder, id)}.new`]) await rm(file, { force: true });
}

/** Ids of all volumes. */
export async function volumeIds(folder: string): Promise<number[]> {
  if (!existsSync(folder)) return [];
  return [...new Set((await readdir(folder)).map((name) => name.match(/^(\d+)\.img/)?.[1]).filter((id) => id !== undefined).map(Number))];
}

/** The volume's block device, if it has one now. */
export async function deviceOf(folder: string, id: number): Promise<string | undefined> {
  const { stdout } = await attempt(["losetup", "--noheadings", "--output", "NAME", "--associated", fileOfVolume(folder, id)]);
  return stdout.trim().split("\n")[0]?.trim() || undefined;
}

async function setLength(path: string, bytes: number): Promise<void> {
  const file = await open(path, "a", 0o600);
  try {
    await file.truncate(bytes);
  } finally {
    await file.close();
  }
}
