import { existsSync } from "node:fs";
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { mountDisk, unmountDisk, writeOnDisk } from "../../machines/disk.js";
import type { Names } from "../../machines/names.js";
import { askToShutDown, boot, halt, isRunning, processesIn } from "../../machines/nspawn.js";
import { until } from "../../run.js";
import type { Backend, ServerPlan } from "../backend.js";
import { checkFreeFor, showVolumes } from "./attachments.js";
import { devicesOf, removeDevices } from "./devices.js";
import { imageNamed } from "./image.js";
import { namesOfServer, volumesFolder, type Place } from "./place.js";
import { existing, keep, recordOf, whileNobodyElse, type ServerRecord } from "./records.js";
import { clearRescue, prepareRescue } from "./rescue.js";
import { identityFiles, seedFiles } from "./seed.js";
import { unplugVolume } from "./volumes.js";
import { connect, disconnect, serverHardwareAddress } from "./wires.js";

const FUSE = "/dev/fuse";
const START_DEADLINE = 20_000;
/** How long a server may take to shut down when it is asked to. */
const PATIENCE = 30_000;

export async function createServer(place: Place, plan: ServerPlan): Promise<void> {
  const names = namesOfServer(place, plan.id);
  const image = await imageNamed(plan.image, place);
  await whileNobodyElse(names, async () => {
    const known = await recordOf(place, plan.id);
    if (known && (plan.power === "off" || isRunning(names))) return;
    if (!known) await clear(names);
    if (!known) await checkFreeFor(place, plan.volumes, plan.id);
    const record = known ?? recordFor(plan, image.root);
    await keep(place, record);
    if (plan.power === "on") await start(place, record);
  });
}

/** What is true now, whatever was asked for. */
export async function stateOf(place: Place, id: number): Promise<"running" | "off" | "absent"> {
  if (!(await recordOf(place, id))) return "absent";
  return isRunning(namesOfServer(place, id)) ? "running" : "off";
}

export async function power(place: Place, id: number, to: Parameters<Backend["power"]>[1]): Promise<void> {
  const names = namesOfServer(place, id);
  await whileNobodyElse(names, async () => {
    const record = await existing(place, id);
    if (to === "on" && isRunning(names)) return;
    if (to === "off" || to === "reset") await stop(names);
    if ((to === "shutdown" || to === "reboot") && !(await shutDown(names))) return;
    if (to === "on" || to === "reset" || to === "reboot") await start(place, record);
  });
}

/** A new disk under the same id. The old one is gone only when the new plan is kept. */
export async function rebuild(place: Place, plan: ServerPlan): Promise<void> {
  const names = namesOfServer(place, plan.id);
  const image = await imageNamed(plan.image, place);
  await whileNobodyElse(names, async () => {
    await existing(place, plan.id);
    await checkFreeFor(place, plan.volumes, plan.id);
    await stop(names);
    await keep(place, recordFor(plan, image.root));
    if (plan.power === "on") await start(place, recordFor(plan, image.root));
  });
}

export async function rescue(place: Place, id: number, keys: readonly string[] | undefined): Promise<void> {
  await whileNobodyElse(namesOfServer(place, id), async () => {
    const { rescueKeys: _, ...record } = await existing(place, id);
    await keep(place, { ...record, ...(keys ? { rescueKeys: keys } : {}) });
  });
}

/** Deletes a server and its disk, also one that was made by half. Its volumes stay, and are nobody's. One that is not there is no failure. */
export async function deleteServer(place: Place, id: number): Promise<void> {
  const names = namesOfServer(place, id);
  await whileNobodyElse(names, async () => {
    const record = await recordOf(place, id);
    await clear(names);
    for (const volume of record?.volumes ?? []) await unplugVolume(volumesFolder(place), volume);
    await rm(names.folder, { recursive: true, force: true, maxRetries: 3 });
  });
}

function recordFor({ power: _, ...plan }: ServerPlan, imageRoot: string): ServerRecord {
  return { ...plan, imageRoot, disk: "wanted" };
}

/** Pulls the plug, and takes away what a running server has on this machine. */
async function stop(names: Names): Promise<void> {
  await halt(names, 0);
  await clearRescue(names);
  await unmountDisk(names);
  await disconnect(names);
}

async function clear(names: Names): Promise<void> {
  await stop(names);
  await removeDevices(names);
}

/** @returns whether the server went off; one that does not listen stays on, as real ones do */
async function shutDown(names: Names): Promise<boolean> {
  if (isRunning(names)) askToShutDown(names);
  if (!(await until(() => !isRunning(names), PATIENCE, 50))) return false;
  await stop(names);
  return true;
}

async function start(place: Place, record: ServerRecord): Promise<void> {
  const names = namesOfServer(place, record.id);
  place.report(`booting server ${record.id} (${record.name})`);
  await stop(names);
  if (record.disk === "wanted") await makeDisk(names, record);
  await mountDisk(names, record.imageRoot);
  const firstRoot = record.rescueKeys ? await prepareRescue(names, record.rescueKeys, record.imageRoot) : undefined;
  const { rescueKeys: _, ...rest } = record;
  await keep(place, { ...rest, disk: "there" });
  await showVolumes(place, record);
  await connect(names, { hardwareAddress: serverHardwareAddress(record.id), addresses: record.addresses, rules: record.filter });
  boot(names, {
    root: join(names.folder, "root"), hostname: record.name, binds: [`${devicesOf(names)}:/dev/disk/by-id`, ...(existsSync(FUSE) ? [FUSE] : [])],
    // A server that went off by itself answers at no address.
    afterwards: `ip -n ${names.namespace} link set host0 down`,
    ...(firstRoot ? { firstRoot } : {}), ...(place.programs ? { programs: place.programs } : {}),
  });
  await seeItRun(names, record);
}

async function makeDisk(names: Names, record: ServerRecord): Promise<void> {
  for (const folder of ["upper", "work"]) await rm(join(names.folder, folder), { recursive: true, force: true });
  await writeOnDisk(names, identityFiles(record.name), 0o644);
  await writeOnDisk(names, seedFiles(record), 0o600);
}

/** @throws with what nspawn said, when it ended at once */
async function seeItRun(names: Names, { id, name }: ServerRecord): Promise<void> {
  const runs = await until(() => processesIn(names).length > 0 || !isRunning(names), START_DEADLINE, 20);
  if (runs && isRunning(names)) return;
  const log = join(names.folder, "console.log");
  const said = existsSync(log) ? (await readFile(log, "utf8")).trim().split("\n").slice(-3).join("\n") : "";
  throw new Error(`server ${id} (${name}) does not boot: ${said || "it said nothing"}. All it said is in ${log}`);
}
