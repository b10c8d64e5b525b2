import { z } from "zod";
import { parseFormat, printFormat } from "../../formats/versioned.js";
import type { Site } from "../site.js";

const pendingSchema = z.strictObject({ format: z.literal("holdfast-pending-restarts/1"), units: z.array(z.string()) });

/** The longest that a daemon may take to stop and come up again. */
const restartDeadline = 600_000;

/** Notes units before the swap whose files it changes, so that they are restarted even when nobody survives it. */
export async function noteRestarts(site: Site, units: readonly string[]): Promise<void> {
  if (units.length === 0) return;
  const all = [...new Set([...(await noted(site)), ...units])].sort();
  await site.disk.writeWhole(site.layout.pendingRestarts, printFormat(pendingSchema, { format: "holdfast-pending-restarts/1", units: all }), 0o600);
}

/**
 * Restarts the noted units that run, all in one command; those that do not run, or that this system does not have, stay as they are.
 *
 * @param how `wait` until they are up again, or only `queue` the jobs: what boots must not wait for itself
 * @throws when one of them does not come up; the note stays then
 */
export async function restartNoted(site: Site, how: "wait" | "queue"): Promise<string[]> {
  const notedUnits = await noted(site);
  if (notedUnits.length === 0) return [];
  const units = await loaded(site, notedUnits);
  try {
    if (units.length > 0) await site.run(["systemctl", "try-restart", ...(how === "queue" ? ["--no-block"] : []), "--", ...units], { deadline: restartDeadline });
  } catch (error) {
    throw new Error(`the new secrets are installed, and their consumers did not all restart with them (see "journalctl -u" of the unit): ${(error as Error).message}`, { cause: error });
  }
  await site.disk.remove(site.layout.pendingRestarts);
  return units;
}

/**
 * Those units that the running system has, under their own names, each before those that it comes after: systemctl asks for one restart after the
 * other, and systemd takes a unit down before its dependents unless it knows by then that these go down too. @see systemctl(1), show: one block for each
 */
async function loaded(site: Site, units: readonly string[]): Promise<string[]> {
  const blocks = (await site.run(["systemctl", "show", "--property=Id,LoadState,After", "--", ...units], { deadline: 30_000 })).split("\n\n");
  const after = new Map(blocks.filter((block) => /^LoadState=loaded$/m.test(block)).map((block) => [/^Id=(.+)$/m.exec(block)![1]!, /^After=(.*)$/m.exec(block)?.[1]?.split(" ") ?? []]));
  return dependentsFirst(after);
}

/** @param after by unit, those that it comes after when starting */
export function dependentsFirst(after: ReadonlyMap<string, readonly string[]>): string[] {
  const left = [...after.keys()];
  const ordered: string[] = [];
  while (left.length > 0) {
    const free = left.findIndex((unit) => !left.some((other) => other !== unit && after.get(other)!.includes(unit)));
    ordered.push(...left.splice(Math.max(free, 0), 1));
  }
  return ordered;
}

async function noted(site: Site): Promise<string[]> {
  const text = await site.disk.readText(site.layout.pendingRestarts);
  return text === undefined ? [] : parseFormat(pendingSchema, site.layout.pendingRestarts, text).units;
}
