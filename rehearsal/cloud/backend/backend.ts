import type { Backend } from "../backend.js";
import { attachVolume, deleteVolume, detachVolume } from "./attachments.js";
import { setAddresses, setFilter } from "./exposure.js";
import { placeOf, volumesFolder, type CloudBackendArgs } from "./place.js";
import { razeAll, remainsOf } from "./remains.js";
import { createServer, deleteServer, power, rebuild, rescue, stateOf } from "./servers.js";
import { growVolume, makeVolume } from "./volumes.js";

/**
 * The local cloud's machines, as they are for real: systemd-nspawn on the rehearsal's bridge, cloud-init, loop devices, a wall of nftables.
 * It keeps nothing in this process: another one, later, goes on where this one was, or was killed.
 *
 * @throws when a path cannot be written into mount options
 */
export function cloudBackend(args: CloudBackendArgs): Backend {
  const place = placeOf(args);
  return {
    createServer: (plan) => createServer(place, plan),
    power: (id, to) => power(place, id, to),
    state: (id) => stateOf(place, id),
    rebuild: (plan) => rebuild(place, plan),
    rescue: (id, keys) => rescue(place, id, keys),
    deleteServer: (id) => deleteServer(place, id),
    createVolume: (id, size) => makeVolume(volumesFolder(place), id, size),
    resizeVolume: (id, size) => growVolume(volumesFolder(place), id, size),
    attachVolume: (id, serverId) => attachVolume(place, id, serverId),
    detachVolume: (id) => detachVolume(place, id),
    deleteVolume: (id) => deleteVolume(place, id),
    setAddresses: (id, addresses) => setAddresses(place, id, addresses),
    setFilter: (id, rules) => setFilter(place, id, rules),
    leftovers: () => remainsOf(place),
    raze: () => razeAll(place),
  };
}
