import { existsSync, readdirSync } from "node:fs";
import { rm, rmdir } from "node:fs/promises";
import { join } from "node:path";
import { leftovers } from "../../machines/leftovers.js";
import { statePrefix } from "../../machines/names.js";
import { removePlumbing } from "../../machines/plumbing.js";
import { run } from "../../run.js";
import { detachVolume } from "./attachments.js";
import { DEVICES } from "./devices.js";
import { volumesFolder, type Place } from "./place.js";
import { serverIds } from "./records.js";
import { deleteServer } from "./servers.js";
import { removeVolume, volumeIds } from "./volumes.js";
import { WALLS } from "./wires.js";

/** Everything that exists because of a cloud: on this machine outside of its folder, and in it. */
export async function remainsOf(place: Place): Promise<string[]> {
  const volumes = volumesFolder(place);
  const loops = (await run(["losetup", "--noheadings", "--output", "NAME,BACK-FILE"])).split("\n").filter((line) => line.includes(` ${volumes}/`));
  const ours = `hf-${statePrefix(place.folder)}-`;
  const named = (folder: string, start: string): string[] => (existsSync(folder) ? readdirSync(folder).filter((name) => name.startsWith(start)).map((name) => join(folder, name)) : []);
  return [
    ...leftovers(place.folder),
    ...named("/run/netns", `${WALLS}${ours}`),
    ...named(DEVICES, ours),
    ...loops.map((line) => `loop device ${line.trim()}`),
    ...(await serverIds(place)).map((id) => `server ${id}`),
    ...(await volumeIds(volumes)).map((id) => `volume ${id}`),
  ];
}

/** Removes all of it, whatever was cut short before. */
export async function razeAll(place: Place): Promise<void> {
  for (const id of await serverIds(place)) await deleteServer(place, id);
  for (const id of await volumeIds(volumesFolder(place))) {
    await detachVolume(place, id);
    await removeVolume(volumesFolder(place), id);
  }
  for (const folder of [volumesFolder(place), join(place.folder, "machines")]) await rm(folder, { recursive: true, force: true });
  if (existsSync(DEVICES) && readdirSync(DEVICES).length === 0) await rmdir(DEVICES);
  await removePlumbing();
}
