import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { noteSwapped, RestartFailure, restartNoted } from "../secrets/restart.js";
import type { Site } from "../site.js";
import type { Trial } from "./record.js";

/** For identity daemons to be up again, in milliseconds. One that takes longer, to catch up with the chain, is left to itself and to the gate. */
const restartDeadline = 60_000;
const UNITS = "etc/systemd/system";

/**
 * Identity daemons whose unit reads otherwise in the system on trial than in the previous one: another version, another configuration. A switch leaves them alone
 * (`X-OnlyManualStart`), and what a newer one made of its database no older one reads: they change with the commit, and not before.
 */
export async function changedDaemons(site: Site, { toplevel, previous }: Pick<Trial, "toplevel" | "previous">): Promise<string[]> {
  if (toplevel === previous) return [];
  const members = await unlessAbsent(readdir(join(site.root, toplevel, UNITS, `${site.layout.identityTarget}.wants`)), []);
  const changed = await Promise.all(members.map(async (unit) => {
    const [now, before] = await Promise.all([toplevel, previous].map((system) => unlessAbsent(readFile(join(site.root, system, UNITS, unit), "utf8"), undefined)));
    return now !== undefined && before !== undefined && now !== before;
  }));
  return members.filter((_, index) => changed[index]).sort();
}

/**
 * After a commit: restarts the identity daemons that run and that the commit changes. Those that do not run are the gate's business, which is asked next and
 * tells why one does not come up. Done again, it may restart one once more.
 */
export async function renewDaemons(site: Site, record: Trial): Promise<void> {
  const changed = await changedDaemons(site, record);
  if (changed.length === 0) return;
  await noteSwapped(site, changed);
  try {
    await restartNoted(site, restartDeadline);
  } catch (error) {
    if (!(error instanceof RestartFailure)) throw error;
    process.stderr.write(`${error.message}\n`);
  }
}

async function unlessAbsent<T, D>(reading: Promise<T>, absent: D): Promise<T | D> {
  try {
    return await reading;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return absent;
    throw error;
  }
}
