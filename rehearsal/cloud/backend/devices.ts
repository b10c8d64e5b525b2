import { existsSync, readdirSync, readFileSync, readlinkSync, statSync } from "node:fs";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Names } from "../../machines/names.js";
import { processesIn } from "../../machines/nspawn.js";
import { ifAlive } from "../../machines/processes.js";
import { attempt, run } from "../../run.js";

/** Below /dev, because device files work on every machine there. */
export const DEVICES = "/dev/holdfast";

/**
 * A folder of device files that the server sees as its /dev/disk/by-id. What is put into it appears in the running server
 * at once, and after each boot: there is no udev in a machine that could make links.
 */
export const devicesOf = ({ namespace }: Names): string => join(DEVICES, namespace);

const fileOf = (names: Names, volumeId: number): string => join(devicesOf(names), `scsi-0HC_Volume_${volumeId}`);

/** Shows a server exactly these volumes. @param devices block devices by volume id */
export async function showDevices(names: Names, devices: ReadonlyMap<number, string>): Promise<void> {
  await mkdir(devicesOf(names), { recursive: true, mode: 0o755 });
  const wanted = new Map([...devices].map(([id, device]) => [fileOf(names, id), device]));
  for (const entry of readdirSync(devicesOf(names)).map((name) => join(devicesOf(names), name))) {
    const device = wanted.get(entry);
    if (!device || statSync(entry).rdev !== statSync(device).rdev) await rm(entry);
  }
  for (const [file, device] of wanted) {
    if (!existsSync(file)) await run(["cp", "--archive", device, file]);
  }
}

/** Takes a volume out of a server, also out of one that has it mounted: as when the cable is pulled. */
export async function hideDevice(names: Names, volumeId: number): Promise<void> {
  const file = fileOf(names, volumeId);
  if (!existsSync(file)) return;
  const { rdev } = statSync(file);
  await rm(file);
  await unmountInside(names, numberOf(rdev));
}

/** Removes the folder of a server that is deleted. */
export async function removeDevices(names: Names): Promise<void> {
  await rm(devicesOf(names), { recursive: true, force: true });
}

/** A device's number as mountinfo has it. @see makedev(3) */
export const numberOf = (device: number): string => `${(device >>> 8) & 0xfff}:${(device & 0xff) | ((device >>> 12) & 0xfff00)}`;

/** Services may have a mount namespace of their own, in which a volume can be mounted too. */
async function unmountInside(names: Names, number: string): Promise<void> {
  const inside = new Map(processesIn(names).map(({ pid }) => [ifAlive(() => readlinkSync(`/proc/${pid}/ns/mnt`)), pid]));
  inside.delete(ifAlive(() => readlinkSync("/proc/self/ns/mnt")));
  for (const pid of inside.values()) {
    for (const target of mountsOf(number, ifAlive(() => readFileSync(`/proc/${pid}/mountinfo`, "utf8")) ?? "")) {
      await attempt(["nsenter", `--target=${pid}`, "--mount", "--pid", "umount", "--lazy", target]);
    }
  }
}

/** Where a device is mounted. @param number `7:3` @param table the text of /proc/PID/mountinfo, see proc_pid_mountinfo(5) */
export function mountsOf(number: string, table: string): string[] {
  return table.split("\n").map((line) => line.split(" ")).filter((fields) => fields[2] === number)
    .map((fields) => fields[4]!.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(parseInt(digits, 8))));
}
