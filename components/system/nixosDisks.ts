import { isDeepStrictEqual } from "node:util";
import { z } from "zod";
import type { NixosSettings } from "../../formats/settings.js";

/** The operator's word that what lies on these disks may go. For one generation of the host, and no other. */
export interface Wipe {
  readonly generation: number;
  readonly disks: readonly string[];
}

interface Device {
  readonly name: string;
  readonly type: string;
  readonly fstype: string | null;
  readonly pttype: string | null;
  readonly partlabel?: string | null | undefined;
  readonly "maj:min"?: string | undefined;
  readonly children?: readonly Device[] | undefined;
}

const deviceSchema: z.ZodType<Device> = z.lazy(() => z.object({
  name: z.string(), type: z.string(), fstype: z.string().nullable(), pttype: z.string().nullable(),
  partlabel: z.string().nullish(), "maj:min": z.string().optional(), children: z.array(deviceSchema).optional(),
}));

/** What `lsblk --json --paths --output NAME,TYPE,FSTYPE,PTTYPE,PARTLABEL,MAJ:MIN` prints. lsblk(8) */
export const devicesSchema = z.object({ blockdevices: z.array(deviceSchema) });

export interface SeenDisks {
  /** Kernel names by name below /dev/disk/by-id. */
  readonly links: Readonly<Record<string, string>>;
  readonly devices: readonly Device[];
}

/** How the stack file calls them. */
const inWords = (disks: NixosSettings["disks"]): string => `{ ${Object.entries(disks).map(([key, value]) => `${key}: ${Array.isArray(value) ? `[${value.join(", ")}]` : String(value)}`).join(", ")} }`;

/**
 * Refuses other disks than those that a host was set up with: its system would look for its root where it is not. Within one generation of the host alone.
 *
 * @param before of the same generation
 * @throws naming both and what to do
 */
export function requireSameDisks(node: string, generation: number, before: NixosSettings["disks"], wanted: NixosSettings["disks"]): void {
  if (isDeepStrictEqual(before, wanted)) return;
  throw new Error(`nixos.disks of ${node} is ${inWords(wanted)}, and generation ${generation} of its host was set up with ${inWords(before)}. Disks are laid out at an installation and never afterwards: nothing was done.\n`
    + `Put nixos.disks back; or, to lay them out anew, have the host start another system than its NixOS (a rescue system, or another machine) and raise host.commodity.generation to ${generation + 1}.`);
}

/** The disks that an installation wipes. */
export function wipedDisks({ disks }: NixosSettings): readonly string[] {
  if (disks.layout === "kept") return [];
  return disks.layout === "mirror" ? disks.disks : [disks.disk];
}

/**
 * Why the disks that the stack names must not be wiped. Empty when identity and intent match.
 *
 * @param ours whether this very boot of the installer has wiped these disks already, in an attempt that was cut short
 */
export function diskFaults(
  nixos: NixosSettings, seen: SeenDisks, { generation, wipe, ours }: { readonly generation: number; readonly wipe: Wipe | undefined; readonly ours: boolean },
): string[] {
  const disks = wipedDisks(nixos);
  const kernelNames = disks.map((disk) => seen.links[disk]);
  const faults = disks.flatMap((disk, index) => {
    const kernelName = kernelNames[index];
    if (kernelName === undefined) return [`${disk} is not on this host. It has ${wholeDisks(seen).join(", ") || "no disk with such a name"}`];
    const device = seen.devices.flatMap(all).find(({ name }) => name === kernelName);
    if (device?.type !== "disk") return [`${disk} is no whole disk but ${kernelName}, ${device === undefined ? "which lsblk does not show" : `a ${device.type}`}`];
    if (kernelNames.indexOf(kernelName) !== index) return [`${disk} is ${kernelName}, and so is ${disks[kernelNames.indexOf(kernelName)]}: a mirror wants two disks`];
    const content = contentOf(device);
    const word = wipe?.generation === generation && wipe.disks.includes(disk);
    return content === undefined || word || ours ? [] : [`${disk} (${kernelName}) holds ${content}. If all of it may go, say so as wipe: { generation: ${generation}, disks: [${disks.join(", ")}] } beside the node's nixos${wipe === undefined ? "" : `; what stands there is for generation ${wipe.generation}, ${wipe.disks.join(", ")}`}`];
  });
  return [...faults, ...volumeFaults(nixos.dataVolume, kernelNames, seen)];
}

/**
 * Why a host that is NixOS already is not what an installation on these disks makes: its root lies elsewhere, and a system that looks for it here would not start again.
 *
 * @param root the device of its root file system, `major:minor`
 */
export function presentFaults(nixos: NixosSettings, seen: SeenDisks, root: string): string[] {
  return wipedDisks(nixos).flatMap((disk, index) => {
    // As disko names the partitions of nix/disks/layouts.nix.
    const label = `disk-${nixos.disks.layout === "mirror" ? ["one", "two"][index] : "main"}-root`;
    const kernelName = seen.links[disk];
    if (kernelName === undefined) return [`${disk} is not on this host`];
    const partition = seen.devices.filter(({ name }) => name === kernelName).flatMap(all).find(({ partlabel }) => partlabel === label);
    if (partition === undefined) return [`${disk} (${kernelName}) has no partition ${label}`];
    return all(partition).some((device) => device["maj:min"] === root) ? [] : [`its root is not on ${partition.name} (${label} of ${disk})`];
  });
}

/** The data volume must be there, and no part of a disk that is wiped, by whatever name. */
function volumeFaults(volume: string | undefined, wiped: readonly (string | undefined)[], seen: SeenDisks): string[] {
  if (volume === undefined) return [];
  const kernelName = seen.links[volume];
  if (kernelName === undefined) return [`${volume}, the data volume, is not on this host. Attach it first`];
  const owner = seen.devices.find((device) => wiped.includes(device.name) && all(device).some(({ name }) => name === kernelName));
  return owner === undefined ? [] : [`${volume}, the data volume, is ${kernelName}, on ${owner.name}, which the installation would wipe. Name another disk`];
}

const all = (device: Device): Device[] => [device, ...(device.children ?? []).flatMap(all)];

const wholeDisks = ({ links, devices }: SeenDisks): string[] =>
  Object.entries(links).flatMap(([id, kernelName]) => (devices.some(({ name, type }) => name === kernelName && type === "disk") ? [id] : [])).sort();

function contentOf(device: Device): string | undefined {
  const inside = all(device).slice(1).map(({ name, type, fstype }) => `${name} (${fstype ?? type})`);
  if (inside.length > 0) return inside.join(", ");
  if (device.fstype !== null) return device.fstype;
  return device.pttype === null ? undefined : `an empty partition table (${device.pttype})`;
}
