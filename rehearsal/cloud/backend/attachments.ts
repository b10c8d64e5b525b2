import { hideDevice, showDevices } from "./devices.js";
import { namesOfServer, volumesFolder, type Place } from "./place.js";
import { existing, holderOf, keep, recordOf, whileNobodyElse, type ServerRecord } from "./records.js";
import { checkVolume, plugVolume, removeVolume, unplugVolume } from "./volumes.js";

/** Shows a server its volumes, and no others; whether it runs or not. */
export async function showVolumes(place: Place, { id, volumes }: Pick<ServerRecord, "id" | "volumes">): Promise<void> {
  const devices = new Map<number, string>();
  for (const volume of volumes) devices.set(volume, await plugVolume(volumesFolder(place), volume));
  await showDevices(namesOfServer(place, id), devices);
}

/** @throws when one of the volumes is another server's, or there is no such volume */
export async function checkFreeFor(place: Place, volumes: readonly number[], serverId: number): Promise<void> {
  for (const volume of volumes) {
    checkVolume(volumesFolder(place), volume);
    const holder = await holderOf(place, volume);
    if (holder !== undefined && holder !== serverId) throw new Error(`volume ${volume} is attached to server ${holder}: detach it first`);
  }
}

/** @throws when another server has the volume */
export async function attachVolume(place: Place, volumeId: number, serverId: number): Promise<void> {
  await whileNobodyElse(namesOfServer(place, serverId), async () => {
    const record = await existing(place, serverId);
    await checkFreeFor(place, [volumeId], serverId);
    const wanted = { ...record, volumes: [...new Set([...record.volumes, volumeId])] };
    await keep(place, wanted);
    await showVolumes(place, wanted);
  });
}

/** Takes a volume from whichever server has it. One that none has is no failure. @throws when a program in the server has it open */
export async function detachVolume(place: Place, volumeId: number): Promise<void> {
  const holder = await holderOf(place, volumeId);
  if (holder === undefined) return unplugVolume(volumesFolder(place), volumeId);
  const names = namesOfServer(place, holder);
  await whileNobodyElse(names, async () => {
    const record = await recordOf(place, holder);
    if (!record?.volumes.includes(volumeId)) return;
    await hideDevice(names, volumeId);
    await unplugVolume(volumesFolder(place), volumeId);
    await keep(place, { ...record, volumes: record.volumes.filter((one) => one !== volumeId) });
  });
}

export async function deleteVolume(place: Place, volumeId: number): Promise<void> {
  await detachVolume(place, volumeId);
  await removeVolume(volumesFolder(place), volumeId);
}
