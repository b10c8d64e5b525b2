import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { alone } from "../../machines/lock.js";
import type { Names } from "../../machines/names.js";
import type { ServerPlan } from "../backend.js";
import { namesOfServer, type Place } from "./place.js";

/** What is wanted of a server: enough to boot it at any time, also after a create or a rebuild that was cut short. */
export interface ServerRecord extends Omit<ServerPlan, "power"> {
  /** The root below its disk: images of earlier recipes stay in the cache. */
  readonly imageRoot: string;
  /** `wanted`: the next boot makes a new one. */
  readonly disk: "wanted" | "there";
  /** Who may log in to the rescue system that the next boot is of. */
  readonly rescueKeys?: readonly string[];
}

const LOCK_DEADLINE = 180_000;

const fileOf = (place: Place, id: number): string => join(namesOfServer(place, id).folder, "server.json");

export async function recordOf(place: Place, id: number): Promise<ServerRecord | undefined> {
  const file = fileOf(place, id);
  return existsSync(file) ? (JSON.parse(await readFile(file, "utf8")) as ServerRecord) : undefined;
}

/** Has the user's data, which may have keys: nobody else reads it. */
export async function keep(place: Place, record: ServerRecord): Promise<void> {
  const file = fileOf(place, record.id);
  await mkdir(namesOfServer(place, record.id).folder, { recursive: true, mode: 0o700 });
  await writeFile(`${file}.new`, `${JSON.stringify(record)}\n`, { mode: 0o600 });
  await rename(`${file}.new`, file);
}

/** Ids of all servers, half-made ones too. */
export async function serverIds({ folder }: Place): Promise<number[]> {
  const machines = join(folder, "machines");
  if (!existsSync(machines)) return [];
  return (await readdir(machines)).map((name) => name.match(/^server-(\d+)$/)?.[1]).filter((id) => id !== undefined).map(Number);
}

/** The server that has a volume. */
export async function holderOf(place: Place, volumeId: number): Promise<number | undefined> {
  for (const id of await serverIds(place)) {
    if ((await recordOf(place, id))?.volumes.includes(volumeId)) return id;
  }
  return undefined;
}

/** One thing at a time happens to a server. */
export const whileNobodyElse = <T>(names: Names, work: () => Promise<T>): Promise<T> => alone(`server ${names.folder}`, LOCK_DEADLINE, work);

/** @throws when there is no such server */
export async function existing(place: Place, id: number): Promise<ServerRecord> {
  const record = await recordOf(place, id);
  if (!record) throw new Error(`there is no server ${id} in ${place.folder}: create it first`);
  return record;
}
