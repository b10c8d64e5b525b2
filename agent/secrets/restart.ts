import { z } from "zod";
import { parseFormat, printFormat } from "../../formats/versioned.js";
import { ProgramFailure } from "../run.js";
import type { Site } from "../site.js";

const pendingSchema = z.strictObject({
  format: z.literal("holdfast-pending-restarts/2"),
  /** By unit: when the files that it reads had been swapped, on the clock that nobody sets; null while that is not known. */
  units: z.record(z.string(), z.number().nullable()),
});
type Pending = z.infer<typeof pendingSchema>["units"];

/** Secrets are in their place, and a unit did not come up again with them. */
export class RestartFailure extends Error {}

/** Notes units before the swap whose files it changes, so that they are restarted even when nobody survives it. */
export const noteRestarts = (site: Site, units: readonly string[]): Promise<void> => note(site, units, null);

/** Notes that the swap is done: who starts from now on reads the new files. */
export const noteSwapped = (site: Site, units: readonly string[]): Promise<void> => note(site, units, site.monotonic());

async function note(site: Site, units: readonly string[], at: number | null): Promise<void> {
  if (units.length === 0) return;
  const all = { ...(await noted(site)).units, ...Object.fromEntries(units.map((unit) => [unit, at])) };
  await writeNote(site, all);
}

const writeNote = (site: Site, units: Pending): Promise<void> =>
  site.disk.writeWhole(site.layout.pendingRestarts, printFormat(pendingSchema, { format: "holdfast-pending-restarts/2", units }), 0o600);

/**
 * Restarts the noted units that run since before the swap, all in one command; those that do not run, or that this system does not have, stay as they are.
 *
 * @param within milliseconds to wait until they are up again, and then they are left to themselves; or only `queue` the jobs: what boots must not wait for itself
 * @param held units whose time has not come: they stay noted
 * @throws RestartFailure when one of them does not come up; the note stays then
 */
export async function restartNoted(site: Site, within: number | "queue", held: readonly string[] = []): Promise<string[]> {
  const { text, units: notedUnits } = await noted(site);
  if (text === undefined) return [];
  const [left, due] = [true, false].map((isHeld) => Object.fromEntries(Object.entries(notedUnits).filter(([unit]) => held.includes(unit) === isHeld))) as [Pending, Pending];
  if (Object.keys(due).length === 0) return [];
  const { running, starting, ordered } = await affected(site, due);
  const restart = async (command: string, units: readonly string[]): Promise<void> => {
    if (units.length > 0) await site.run(["systemctl", command, ...(within === "queue" ? ["--no-block"] : []), "--", ...units], { deadline: within === "queue" ? 30_000 : within });
  };
  try {
    // systemd takes what is still starting for not running.
    await restart("restart", starting);
    await restart("try-restart", running);
  } catch (error) {
    if (!(error instanceof ProgramFailure && error.exitCode === undefined)) {
      throw new RestartFailure(`secrets were changed, and their consumers did not all restart with them (see "journalctl -u" of the unit): ${(error as Error).message}`, { cause: error });
    }
  }
  // Whoever swapped the files once more meanwhile has noted units of its own.
  if ((await noted(site)).text === text) await (Object.keys(left).length === 0 ? site.disk.remove(site.layout.pendingRestarts) : writeNote(site, left));
  return ordered;
}

interface Affected {
  readonly running: readonly string[];
  readonly starting: readonly string[];
  /** Both. */
  readonly ordered: string[];
}

/**
 * Those units that read files from before the swap, under their own names, each before those that it comes after: systemctl asks for one restart after the
 * other, and systemd takes a unit down before its dependents unless it knows by then that these go down too. @see systemctl(1), show: one block for each
 */
async function affected(site: Site, units: Pending): Promise<Affected> {
  const asked = ["systemctl", "show", "--property=Id,LoadState,ActiveState,InactiveExitTimestampMonotonic,After", "--", ...Object.keys(units)] as const;
  const blocks = (await site.run(asked, { deadline: 30_000 })).split("\n\n").map((block) => new Map(block.split("\n").map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)])));
  const read = blocks.filter((block) => {
    const swapped = units[block.get("Id") ?? ""] ?? Infinity;
    const runs = ["active", "activating", "reloading", "refreshing"].includes(block.get("ActiveState") ?? "");
    return block.get("LoadState") === "loaded" && runs && Number(block.get("InactiveExitTimestampMonotonic")) / 1000 <= swapped;
  });
  const ordered = dependentsFirst(new Map(read.map((block) => [block.get("Id")!, block.get("After")?.split(" ") ?? []])));
  const starting = ordered.filter((unit) => read.find((block) => block.get("Id") === unit)!.get("ActiveState") === "activating");
  return { ordered, starting, running: ordered.filter((unit) => !starting.includes(unit)) };
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

async function noted(site: Site): Promise<{ readonly text: string | undefined; readonly units: Pending }> {
  const text = await site.disk.readText(site.layout.pendingRestarts);
  return { text, units: text === undefined ? {} : parseFormat(pendingSchema, site.layout.pendingRestarts, text).units };
}
