import { dirname } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { z } from "zod";
import { parseFormat, printFormat } from "../../formats/versioned.js";
import { findRecord, type Found } from "../activation/record.js";
import { bootSystem } from "../activation/systems.js";
import { withLock } from "../lock.js";
import { thisHost, type Site } from "../site.js";
import { installBundle, removeSecrets } from "./install.js";
import { forget, keep, kept, keptPath, type Kept } from "./kept.js";
import { secretsLock } from "./leftovers.js";
import type { Plan } from "./plan.js";
import { restartNoted } from "./restart.js";
import { dateOf, noteCommitted } from "./versions.js";

/** Which systems a bundle was tried with: what remains when the power fails between the new boot default and the bundle's commit. */
const systemsSchema = z.strictObject({ format: z.literal("holdfast-trial-systems/1"), toplevel: z.string(), previous: z.string() });

/** The version of the secrets that a proven system runs with. */
export const committedVersion = async (site: Site): Promise<number | undefined> => (await kept(site, "committed"))?.bundle.version;

const locked = <T>(site: Site, purpose: string, work: () => Promise<T>): Promise<T> => withLock(secretsLock(site), { purpose, wait: 60_000 }, work);

/**
 * Puts the bundle of a version beside the system that is to be tried with it. Installs nothing.
 *
 * @throws when this host does not have that version
 */
export async function prepareTrial(site: Site, { toplevel, previous, secretsVersion }: { readonly toplevel: string; readonly previous: string; readonly secretsVersion: number | undefined }): Promise<void> {
  await locked(site, "the preparation of an activation", async () => {
    const [delivered, committed] = [await kept(site, "delivered"), await kept(site, "committed")];
    await dropTrial(site);
    if (secretsVersion === undefined || (committed?.bundle.version === secretsVersion && delivered?.bundle.version !== secretsVersion)) return;
    if (delivered?.bundle.version !== secretsVersion) throw new Error(noSuchBundle(secretsVersion, delivered ?? committed));
    await site.disk.writeWhole(site.layout.trialSystems, printFormat(systemsSchema, { format: "holdfast-trial-systems/1", toplevel, previous }), 0o600);
    await keep(site, "trial", delivered.sealed);
  });
}

/**
 * Takes a bundle that was sealed anew with the same files for the committed one: there is nothing to try.
 *
 * @returns the version that is committed then
 */
export async function adoptUnchanged(site: Site, secretsVersion: number | undefined): Promise<number | undefined> {
  return locked(site, "the adoption of unchanged secrets", async () => {
    const [delivered, committed] = [await kept(site, "delivered"), await kept(site, "committed")];
    if (delivered === undefined || committed === undefined || delivered.bundle.version !== secretsVersion || !isDeepStrictEqual(delivered.bundle.files, committed.bundle.files)) return committed?.bundle.version;
    await noteCommitted(site, committed.bundle.version);
    await installBundle(site, delivered.bundle);
    await site.disk.rename(keptPath(site, "delivered"), keptPath(site, "committed"));
    await site.disk.sync(dirname(site.layout.bundle));
    await noteCommitted(site, delivered.bundle.version);
    return delivered.bundle.version;
  });
}

const noSuchBundle = (wanted: number, found: Kept | undefined): string =>
  `this host does not have the secrets of ${dateOf(wanted)} that the system wants; ${found === undefined ? "it has none" : `the newest it has are those of ${dateOf(found.bundle.version)}`}. ` +
  "Another deployer's were delivered after them, or the host lost them: have them delivered once more (pulumi up --target-replace, with the URN of the node's bundle-deliver), then run this again.";

/** The bundle that belongs on the host now: that of a trial as long as it is one, and otherwise the committed one. */
async function wanted(site: Site): Promise<Kept | undefined> {
  const found = await findRecord(site);
  const trial = found !== undefined && isTried(found) ? await kept(site, "trial") : undefined;
  return trial ?? kept(site, "committed");
}

/** A trial that nobody has decided against. One with a reason is a rollback that failed. */
function isTried({ record, decision }: Found): boolean {
  return decision === "committing" || (decision === undefined && record.state === "pending" && record.reason === undefined);
}

const nothingToDo: Plan = { keep: [], write: [], changed: [], restart: [] };

/** Makes the secrets directory what it has to be now, and notes the units to restart. */
async function place(site: Site): Promise<Plan> {
  const bundle = (await wanted(site))?.bundle;
  if (bundle !== undefined) return installBundle(site, bundle);
  // A system of ours whose bundle got lost keeps what it runs with.
  const bare = (await site.disk.look(site.layout.settings)) === undefined;
  return bare ? removeSecrets(site) : nothingToDo;
}

/**
 * What a system's own activation asks for once its users exist, and before any of its units starts: the secrets that go with it. Restarts nothing; outside of
 * an activation it does nothing.
 */
export async function placeSecrets(_input: string, site: Site = thisHost): Promise<void> {
  if ((await findRecord(site)) !== undefined) await locked(site, "the placing of secrets", () => place(site));
}

/**
 * Brings the secrets that go with the running system, and restarts what runs and read others.
 *
 * @param within milliseconds that the restarted units have; those that are still at it then are left to themselves
 * @param held units that must not start anew yet
 * @returns the units that were restarted
 * @throws when an owner does not exist, or a unit does not come up again
 */
export async function bringSecrets(site: Site, within: number, held: readonly string[] = []): Promise<string[]> {
  await locked(site, "the placing of secrets", () => place(site));
  return restartNoted(site, within, held);
}

/** What holdfast-secrets.service does before nix-bitcoin-secrets.target. */
export async function installSecrets(_input: string, site: Site = thisHost): Promise<void> {
  await locked(site, "the installation of the stored secrets", async () => {
    await finishCutCommit(site);
    const bundle = await wanted(site);
    if (bundle === undefined) throw new Error(`this host has received no secrets yet (${site.layout.bundle} does not exist). Run the update of the stack: its delivery step sends them.`);
    await installBundle(site, bundle.bundle);
  });
  await restartNoted(site, "queue");
}

/** After a power cut: when the system that boots is the one that was on trial, its commit had been decided. */
async function finishCutCommit(site: Site): Promise<void> {
  const text = await site.disk.readText(site.layout.trialSystems);
  if (text !== undefined && (await findRecord(site)) === undefined) {
    const { toplevel, previous } = parseFormat(systemsSchema, site.layout.trialSystems, text);
    if (toplevel !== previous && (await bootSystem(site)) === toplevel) await promote(site);
  }
  const version = await committedVersion(site);
  if (version !== undefined) await noteCommitted(site, version);
}

/** Makes the bundle on trial the one that boots. Can be done again from its start; without a bundle on trial it only notes what there is. */
export async function commitSecrets(site: Site): Promise<void> {
  await locked(site, "the commit of secrets", () => promote(site));
}

async function promote(site: Site): Promise<void> {
  const before = await committedVersion(site);
  if (before !== undefined) await noteCommitted(site, before);
  if (await site.disk.look(site.layout.trialBundle)) {
    await site.disk.rename(site.layout.trialBundle, site.layout.bundle);
    await site.disk.sync(dirname(site.layout.bundle));
  }
  const committed = await kept(site, "committed");
  if (committed !== undefined) {
    await noteCommitted(site, committed.bundle.version);
    if ((await site.disk.readText(keptPath(site, "delivered"))) === committed.sealed) await forget(site, "delivered");
  }
  await site.disk.remove(site.layout.trialSystems);
}

/** Ends a trial that was taken back. Its bundle stays among the delivered: the next activation of its version finds it there. */
export const withdrawSecrets = (site: Site): Promise<void> => locked(site, "the withdrawal of secrets", () => dropTrial(site));

async function dropTrial(site: Site): Promise<void> {
  await forget(site, "trial");
  if (await site.disk.look(site.layout.trialSystems)) await site.disk.remove(site.layout.trialSystems);
}
