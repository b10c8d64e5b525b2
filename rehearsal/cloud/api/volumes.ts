import { z } from "zod";
import { actionView, begin, beginHidden, requireUnlocked, serverRef, volumeRef, type Call } from "./actions.js";
import { requireLocation } from "./catalogue.js";
import { ApiError, invalidInput } from "./errors.js";
import { id, idOrName, labels, read, requireFreeName } from "./input.js";
import { requireRoom } from "./limits.js";
import { renamed } from "./renamed.js";
import { stamp, type Action, type Server, type Volume } from "./world.js";

const volumeName = z.string().regex(/^[A-Za-z0-9]([A-Za-z0-9._-]{0,62}[A-Za-z0-9])?$/, "is not a valid volume name");
const size = z.int().min(10, "must be at least 10").max(10_240, "must be at most 10240");

const createSchema = z.looseObject({
  name: volumeName, size, server: id.nullish(), location: idOrName.nullish(), labels: labels.optional(), automount: z.boolean().optional(), format: z.enum(["ext4", "xfs"]).nullish(),
});

function serverFor(call: Call, wanted: number, field: string): Server {
  const server = call.world.servers.find((one) => one.id === wanted);
  if (server === undefined) throw invalidInput({ name: field, messages: [`server ${wanted} not found`] });
  requireUnlocked(call, serverRef(wanted));
  return server;
}

/** `POST /volumes`. */
export function createVolume(call: Call): object {
  const wanted = read(createSchema, call.body);
  requireFreeName(call.world.volumes, wanted.name);
  requireRoom(call.world, "volumes");
  if (!wanted.server && !wanted.location) throw invalidInput({ name: "location", messages: ["either location or server is required"] });
  const server = wanted.server ? serverFor(call, wanted.server, "server") : undefined;
  const location = server?.location ?? requireLocation(wanted.location!).name;
  if (wanted.location && requireLocation(wanted.location).name !== location) throw invalidInput({ name: "location", messages: ["is not where the server is"] });
  const volume: Volume = {
    id: call.state.nextId++, name: wanted.name, labels: wanted.labels ?? {}, created: stamp(call.now), status: "creating", size: wanted.size, location, server: null, format: wanted.format ?? null, protection: { delete: false },
  };
  call.world.volumes.push(volume);
  const action = begin(call, "create_volume", { do: "createVolume", volume: volume.id }, volumeRef(volume.id));
  const next = server ? [begin(call, "attach_volume", { do: "attachVolume", volume: volume.id, server: server.id }, serverRef(server.id), volumeRef(volume.id))] : [];
  return { volume: volumeView(volume), action: actionView(action, call.now), next_actions: next.map((one) => actionView(one, call.now)) };
}

/** `PUT /volumes/{id}`. */
export function updateVolume(call: Call, volume: Volume): object {
  renamed(call, call.world.volumes, volume, volumeName);
  return { volume: volumeView(volume) };
}

/** `DELETE /volumes/{id}`: what was on it is gone. */
export function deleteVolume(call: Call, volume: Volume): void {
  if (volume.protection.delete) throw new ApiError("protected", "volume is protected against deletion");
  requireUnlocked(call, volumeRef(volume.id));
  if (volume.server !== null) throw new ApiError("volume_still_attached", `volume is still attached to server ${volume.server}: detach it first`);
  call.world.volumes = call.world.volumes.filter((one) => one !== volume);
  beginHidden(call, "delete_volume", { do: "deleteVolume", volume: volume.id }, volumeRef(volume.id));
}

/** `POST /volumes/{id}/actions/…`. */
export const volumeActions: Readonly<Record<string, (call: Call, volume: Volume) => object>> = {
  attach(call, volume) {
    const wanted = read(z.looseObject({ server: id, automount: z.boolean().optional() }), call.body);
    requireUnlocked(call, volumeRef(volume.id));
    if (volume.server !== null) throw new ApiError("volume_already_attached", `volume is already attached to server ${volume.server}`);
    const server = serverFor(call, wanted.server, "server");
    if (server.location !== volume.location) throw invalidInput({ name: "server", messages: [`is in ${server.location}, the volume in ${volume.location}`] });
    return answer(call, begin(call, "attach_volume", { do: "attachVolume", volume: volume.id, server: server.id }, serverRef(server.id), volumeRef(volume.id)));
  },
  detach(call, volume) {
    requireUnlocked(call, volumeRef(volume.id));
    if (volume.server === null) throw new ApiError("volume_not_attached", "volume is not attached to a server");
    requireUnlocked(call, serverRef(volume.server));
    return answer(call, begin(call, "detach_volume", { do: "detachVolume", volume: volume.id }, serverRef(volume.server), volumeRef(volume.id)));
  },
  resize(call, volume) {
    const wanted = read(z.looseObject({ size }), call.body);
    requireUnlocked(call, volumeRef(volume.id));
    if (wanted.size <= volume.size) throw invalidInput({ name: "size", messages: [`must be greater than the current ${volume.size}`] });
    return answer(call, begin(call, "resize_volume", { do: "resizeVolume", volume: volume.id, size: wanted.size }, volumeRef(volume.id)));
  },
  change_protection(call, volume) {
    const wanted = read(z.looseObject({ delete: z.boolean().optional() }), call.body);
    requireUnlocked(call, volumeRef(volume.id));
    return answer(call, begin(call, "change_protection", { do: "patch", kind: "volumes", id: volume.id, set: { protection: { delete: wanted.delete ?? volume.protection.delete } } }, volumeRef(volume.id)));
  },
};

const answer = (call: Call, action: Action): object => ({ action: actionView(action, call.now) });

export const volumeView = (volume: Volume): object => ({
  id: volume.id, name: volume.name, labels: volume.labels, created: volume.created, status: volume.status, size: volume.size, location: requireLocation(volume.location), server: volume.server,
  format: volume.format, protection: volume.protection, linux_device: `/dev/disk/by-id/scsi-0HC_Volume_${volume.id}`,
});
