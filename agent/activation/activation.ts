import { randomUUID } from "node:crypto";
import { dirname, join } from "node:path";
import { z } from "zod";
import type { Activation } from "../../formats/step.js";
import { parseFormat } from "../../formats/versioned.js";
import { withLock } from "../lock.js";
import { adoptUnchanged, bringSecrets, committedVersion, prepareTrial } from "../secrets/trial.js";
import { thisHost, type Site } from "../site.js";
import { changedDaemons } from "./daemons.js";
import { awaitOutcome, finishCommit, rollBack, settle } from "./decisions.js";
import { answerOf, decide, findRecord, isUndecided, writeRecord, type Found, type Trial } from "./record.js";
import { activationUnit, armWatchdog, explainExit, isActive, stopUnit, switchTo, watchdogUnit } from "./systemd.js";
import { baseOf, bootSystem, currentSystem, requireSystem, toplevelSchema } from "./systems.js";

const secretsVersion = z.int().positive().optional();
const activateSchema = z.strictObject({
  toplevel: toplevelSchema,
  /** Of the delivered bundle that goes with the system; without one the secrets stay as they are. */
  secretsVersion,
  /** Seconds from now in which the activation must be committed. */
  deadline: z.int().min(5).max(3600),
  /** The asker's own name for this activation: asked for again under it, after a lost connection, it is not begun again. */
  id: z.uuid().optional(),
});
const commitSchema = z.strictObject({ toplevel: toplevelSchema, secretsVersion });
const rollbackSchema = z.strictObject({ toplevel: toplevelSchema, reason: z.string().min(1) });

/**
 * Runs a system on trial with the secrets that go with it: until they are committed, a watchdog stands ready to bring the previous ones back.
 * A trial of the same whose deployer or connection was lost is gone on with, its deadline what it was.
 *
 * @param input JSON: `{ toplevel, secretsVersion?, deadline, id? }`
 * @returns `pending` when it runs, `rolled-back` with the reason when it does not, `committed` when it ran and booted before: nothing is done then
 * @throws Busy when another activation is at work; when a rollback failed; when the host does not have those secrets
 */
export async function activate(input: string, site: Site = thisHost): Promise<Activation> {
  const { toplevel, secretsVersion: secrets, deadline, id = randomUUID() } = parseFormat(activateSchema, "what activate was asked", input);
  return withLock(activationLock(site), { purpose: `the activation of ${toplevel}`, wait: 0 }, async () => {
    const found = await findRecord(site);
    if (found && await canGoOn(site, found, { toplevel, secrets, deadline, id })) {
      await stopUnit(site, activationUnit);
      return tryOut(site, found.record, deadline);
    }
    const last = await settle(site);
    if (last?.id === id) return concluded(last);
    const [current, boot] = await Promise.all([currentSystem(site), bootSystem(site)]);
    const runsAndBoots = current === toplevel && boot === toplevel;
    const committed = runsAndBoots ? await adoptUnchanged(site, secrets) : await committedVersion(site);
    if (runsAndBoots && (secrets === undefined || secrets === committed)) return alreadyThere(site, toplevel, { last, committed });
    await requireSystem(site, toplevel);
    // New secrets alone are tried with the system that there is.
    const previous = runsAndBoots ? toplevel : previousSystem(toplevel, { last, current, boot, base: await baseOf(site, toplevel) });
    await prepareTrial(site, { toplevel, previous, secretsVersion: secrets });
    const record = await begin(site, { toplevel, deadline, id, previous, secrets: secrets ?? committed });
    return tryOut(site, record, deadline);
  });
}

/** Whether a trial is the asked one, or another deployer's of the same system with half its time left. Under the lock, so that no step is at it any more. */
async function canGoOn(site: Site, { record, decision }: Found, asked: { toplevel: string; secrets: number | undefined; deadline: number; id: string }): Promise<boolean> {
  if (decision !== undefined || !isUndecided(record) || record.toplevel !== asked.toplevel) return false;
  if (asked.secrets !== undefined && asked.secrets !== record.secretsVersion) return false;
  const hasTime = record.id === asked.id || record.endsMonotonic - site.monotonic() >= asked.deadline * 500;
  return hasTime && isActive(site, watchdogUnit);
}

/** Switches to the system on trial, with its secrets. Done again, it finishes what is left of a switch that was cut short. */
async function tryOut(site: Site, record: Trial, deadline: number): Promise<Activation> {
  const { toplevel } = record;
  const exitCode = await switchTo(site, { toplevel, action: "test", unit: activationUnit, deadline: deadline * 1000 + 30_000 });
  if (exitCode !== 0) return ended(site, await rollBack(site, record, await explainExit(site, toplevel, exitCode)));
  const restarted = await withSecrets(site, record);
  if (restarted instanceof Error) return ended(site, await rollBack(site, record, restarted.message));
  const found = await findRecord(site);
  const goesOn = found && !found.decision && found.record.id === record.id && isUndecided(found.record);
  return goesOn ? { ...answerOf(record), ...(restarted.length > 0 && { restarted }) } : answerOf(await awaitOutcome(site, record));
}

/** Restarts whose secrets changed, but for identity daemons that change with the commit, in half of the time that the trial has left: the rest is for its proof. What goes wrong ends the trial. */
async function withSecrets(site: Site, record: Trial): Promise<string[] | Error> {
  try {
    return await bringSecrets(site, Math.max(5_000, (record.endsMonotonic - site.monotonic()) / 2), await changedDaemons(site, record));
  } catch (error) {
    return error as Error;
  }
}

/** @throws when the rollback failed */
function concluded(record: Trial): Activation {
  if (record.state === "pending") throw new Error(record.reason);
  return answerOf(record);
}

/**
 * Makes the system on trial the one that boots, and its secrets those that it boots with.
 *
 * @param input JSON: `{ toplevel, secretsVersion? }`
 * @returns `committed`, also when it was before; `rolled-back` when the watchdog or a restart of the host came first
 */
export async function commit(input: string, site: Site = thisHost): Promise<Activation> {
  const { toplevel, secretsVersion: secrets } = parseFormat(commitSchema, "what commit was asked", input);
  return withLock(activationLock(site), { purpose: `the commit of ${toplevel}`, wait: 30_000 }, async () => {
    const found = await findRecord(site);
    if (found?.record.toplevel !== toplevel || (secrets !== undefined && found.record.secretsVersion !== secrets)) return withoutRecord(site, toplevel, secrets);
    if (found.decision === "committing") return ended(site, await finishCommit(site, found.record));
    if (found.record.state === "committed") return ended(site, answerOf(found.record));
    if (found.decision || !isUndecided(found.record)) return answerOf(await awaitOutcome(site, found.record));
    const current = await currentSystem(site);
    if (current !== toplevel) throw new Error(`${toplevel} is on trial, and ${current ?? "no system"} is current: it is not committed. The watchdog will roll back at ${found.record.ends}.`);
    if (!(await decide(site, found.record, "committing"))) return answerOf(await awaitOutcome(site, found.record));
    return ended(site, await finishCommit(site, found.record));
  });
}

/**
 * Ends a trial at once, or tries a failed rollback again.
 *
 * @param input JSON: `{ toplevel, reason }`
 * @throws when that system is not on trial, or when the rollback fails
 */
export async function rollback(input: string, site: Site = thisHost): Promise<Activation> {
  const { toplevel, reason } = parseFormat(rollbackSchema, "what rollback was asked", input);
  return withLock(activationLock(site), { purpose: `the rollback of ${toplevel}`, wait: 60_000 }, async () => {
    const found = await findRecord(site);
    if (found?.record.toplevel !== toplevel) throw new Error(`${toplevel} is not on trial on this host, so there is nothing to roll back.`);
    if (found.record.state === "committed") throw new Error(`${toplevel} is committed. To go back, push the previous system: ${found.record.previous}.`);
    if (found.decision) return ended(site, answerOf((await settle(site))!));
    const { reason: failure, ...again } = found.record;
    if (found.record.state === "pending" && failure !== undefined) await writeRecord(site, again);
    return ended(site, await rollBack(site, again, reason));
  });
}

/** The unit that `activate` arms: waits for the end of the trial, then rolls back what nobody committed. */
export async function watchdog(_input: string, site: Site = thisHost): Promise<Activation | undefined> {
  const found = await findRecord(site);
  if (found === undefined) return undefined;
  const { record } = found;
  for (let left = record.endsMonotonic - site.monotonic(); left > 0; left = record.endsMonotonic - site.monotonic()) {
    await site.sleep(Math.min(left, 1000));
    const now = await findRecord(site);
    if (now?.record.id !== record.id || (!now.decision && !isUndecided(now.record))) return undefined;
  }
  const now = await findRecord(site);
  if (now?.record.id !== record.id || now.decision === undefined) return rollBack(site, record, `nobody committed ${record.toplevel} before ${record.ends}`);
  await withLock(activationLock(site), { purpose: `the end of the activation of ${record.toplevel}`, wait: 600_000 }, () => settle(site));
  return answerOf((await findRecord(site))!.record);
}

/**
 * How the last activation went. After a reboot: the system that boots, and its secrets.
 *
 * @throws on a host that never had a system
 */
export async function activationReport(_input: string, site: Site = thisHost): Promise<Activation> {
  const found = await findRecord(site);
  if (found) return answerOf(found.decision === undefined ? found.record : underWay(found.record));
  const boot = await bootSystem(site);
  if (boot === undefined) throw new Error("this host has no system of ours yet: nothing was ever activated here.");
  return { state: "committed", toplevel: boot, previous: boot, ...(await withVersion(site)) };
}

/** Of the secrets that the host boots with. */
async function withVersion(site: Site): Promise<Pick<Activation, "secretsVersion">> {
  const version = await committedVersion(site);
  return version === undefined ? {} : { secretsVersion: version };
}

/** A decision that is being carried out: pending, and its reason is not yet one of failure. */
const underWay = ({ reason: _, ...record }: Trial): Trial => record;

/** Records the trial and arms its watchdog, before anything is switched. */
async function begin(site: Site, { toplevel, previous, secrets, deadline, id }: { toplevel: string; previous: string; secrets: number | undefined; deadline: number; id: string }): Promise<Trial> {
  await stopUnit(site, watchdogUnit);
  const record: Trial = {
    format: "holdfast-activation/1",
    id,
    state: "pending",
    toplevel,
    previous,
    ...(secrets !== undefined && { secretsVersion: secrets }),
    ends: new Date(site.now() + deadline * 1000).toISOString(),
    endsMonotonic: site.monotonic() + deadline * 1000,
  };
  await writeRecord(site, record);
  try {
    await armWatchdog(site, toplevel, previous);
  } catch (error) {
    await site.disk.remove(site.layout.activation);
    throw new Error(`nothing was activated, because no watchdog could be armed: ${(error as Error).message}`, { cause: error });
  }
  return record;
}

/** What runs, unless its own rollback failed: that is nothing to go back to. */
function previousSystem(toplevel: string, of: { last: Trial | undefined; current: string | undefined; boot: string | undefined; base: string | undefined }): string {
  const stuck = of.last?.state === "pending" && of.last.toplevel === of.current ? of.last.previous : undefined;
  const previous = [stuck, of.current, of.boot, of.base].find((system) => system !== undefined && system !== toplevel);
  if (previous === undefined) throw new Error(`this host has no system but ${toplevel} to go back to if it fails, and it brings no base. A first system wants a link, base, to the one that a bare host goes back to.`);
  return previous;
}

async function alreadyThere(site: Site, toplevel: string, { last, committed }: { last: Trial | undefined; committed: number | undefined }): Promise<Activation> {
  if (last?.state === "committed" && last.toplevel === toplevel && last.secretsVersion === committed) return answerOf(last);
  const answer: Activation = { state: "committed", toplevel, previous: toplevel, ...(committed !== undefined && { secretsVersion: committed }) };
  const now = { ends: new Date(site.now()).toISOString(), endsMonotonic: site.monotonic() };
  await writeRecord(site, { ...answer, ...now, format: "holdfast-activation/1", id: randomUUID() });
  return answer;
}

/** Without a record of this system: the host was restarted since, or had another activation. */
async function withoutRecord(site: Site, toplevel: string, secrets: number | undefined): Promise<Activation> {
  const [current, boot, { secretsVersion: committed }] = await Promise.all([currentSystem(site), bootSystem(site), withVersion(site)]);
  const version = committed === undefined ? {} : { secretsVersion: committed };
  if (boot === toplevel && current === toplevel && (secrets === undefined || secrets === committed)) return { state: "committed", toplevel, previous: toplevel, ...version };
  if (boot === undefined && current === undefined) throw new Error(`${toplevel} is not on trial on this host, and no system is. Activate it first.`);
  return { state: "rolled-back", toplevel, previous: current ?? boot!, ...version, reason: `the host restarted or had another activation before the commit; ${current ?? boot} runs` };
}

async function ended(site: Site, answer: Activation): Promise<Activation> {
  await stopUnit(site, watchdogUnit);
  return answer;
}

function activationLock(site: Site): string {
  return join(dirname(site.layout.activation), "activation.lock");
}
