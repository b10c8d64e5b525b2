import { bootSystem, currentSystem } from "./systems.js";
import { failedUnits, rollbackUnit, activationUnit, explainExit, isActive, stopUnit, switchTo, watchdogUnit } from "./systemd.js";
import { answerOf, decide, findRecord, finish, isUndecided, noteDecision, type Found, type Trial } from "./record.js";
import type { Activation } from "../../formats/step.js";
import { renewDaemons } from "./daemons.js";
import { gateUnit } from "../gate/host.js";
import { say } from "../gate/report.js";
import { isAlive, ownIdentity } from "../lock.js";
import { RestartFailure } from "../secrets/restart.js";
import { bringSecrets, commitSecrets, withdrawSecrets } from "../secrets/trial.js";
import type { Site } from "../site.js";

const switchDeadline = 600_000;
/** For whoever reads secrets that were put back. */
const restartDeadline = 60_000;

/**
 * Rolls a pending activation back, or, where somebody else has decided it before, tells what came of that.
 *
 * @throws when the rollback itself fails: the record stays pending then, with both reasons
 */
export async function rollBack(site: Site, record: Trial, reason: string): Promise<Activation> {
  if (!(await decide(site, record, "rolling-back"))) return answerOf(await awaitOutcome(site, record));
  const decided: Trial = { ...record, reason, decider: await ownIdentity() };
  await noteDecision(site, decided, "rolling-back");
  return finishRollback(site, decided);
}

/** The part of a rollback that can be done again from its start. */
async function finishRollback(site: Site, record: Trial): Promise<Activation> {
  const reason = record.reason ?? "its rollback was interrupted";
  for (const unit of [activationUnit, rollbackUnit]) await stopUnit(site, unit);
  const exitCode = await switchTo(site, { toplevel: record.previous, action: "test", unit: rollbackUnit, deadline: switchDeadline });
  const current = await currentSystem(site);
  if ((exitCode === 0 || exitCode === 4) && current === record.previous) {
    const fault = await takeBackSecrets(site);
    const failed = exitCode === 4 ? await failedUnits(site) : [];
    const faults = [...(failed.length > 0 ? [`Of the previous system, too, units failed: ${failed.join(", ")}`] : []), ...(fault === undefined ? [] : [`Afterwards ${fault}`])];
    const outcome: Trial = { ...record, state: "rolled-back", reason: [reason, ...faults].join(". ") };
    await finish(site, "rolling-back", outcome);
    return answerOf(outcome);
  }
  const failure = exitCode === 0 ? `it said that it succeeded, and ${current ?? "no system"} is current` : await explainExit(site, record.previous, exitCode);
  const both = `${reason}. The rollback to ${record.previous} failed as well: ${failure}. Look at the host, then push a system that works`;
  await finish(site, "rolling-back", { ...record, state: "pending", reason: both });
  throw new Error(both);
}

/**
 * Puts the committed secrets back, as the previous system's own activation has done already where it knows how, and restarts who read the others.
 *
 * @returns what a unit's restart came to, when it failed
 */
async function takeBackSecrets(site: Site): Promise<string | undefined> {
  try {
    await bringSecrets(site, restartDeadline);
    return undefined;
  } catch (error) {
    if (!(error instanceof RestartFailure)) throw error;
    return error.message;
  } finally {
    await withdrawSecrets(site);
  }
}

/** Makes a system that proved itself the one that boots, with its secrets. Can be done again from its start. */
export async function finishCommit(site: Site, record: Trial): Promise<Activation> {
  const { toplevel, previous } = record;
  try {
    await setBootSystem(site, toplevel);
    const exitCode = await switchTo(site, { toplevel, action: "boot", unit: activationUnit, deadline: switchDeadline });
    if (exitCode !== 0) throw new Error(await explainExit(site, toplevel, exitCode));
  } catch (error) {
    if ((await bootSystem(site)) === toplevel) await setBootSystem(site, previous);
    await finish(site, "committing", record);
    throw new Error(`${toplevel} runs, and could not be made the system that boots: ${(error as Error).message}. The watchdog will roll it back at ${record.ends}.`, { cause: error });
  }
  // Decided: from here on it is finished, by this process or by the next.
  await commitSecrets(site);
  if (toplevel !== previous) {
    await renewDaemons(site, record);
    await askGate(site);
  }
  const outcome: Trial = { ...record, state: "committed" };
  await finish(site, "committing", outcome);
  return answerOf(outcome);
}

/**
 * The gate looks again at what runs after a commit, and opens what the new system adds. Whoever asks it meanwhile must not take its old word for the new one. New
 * secrets alone are none of its business: who reads them was restarted.
 */
async function askGate(site: Site): Promise<void> {
  if (!(await isActive(site, gateUnit))) await say({ paths: site.layout, now: () => new Date(site.now()) }, { state: "working", phase: "asked to look again after an activation" });
  await site.run(["systemctl", "start", "--no-block", "--", gateUnit], { deadline: 30_000 });
}

/** Finishes what an earlier activation left: to be called under the lock, which proves that no step is at it any more. A watchdog may be. */
export async function settle(site: Site): Promise<Trial | undefined> {
  const found = await withoutLiveDecider(site);
  if (found === undefined) return undefined;
  if (found.decision === "committing") await finishCommit(site, found.record);
  else if (found.decision === "rolling-back") await finishRollback(site, found.record);
  else if (isUndecided(found.record)) await rollBack(site, found.record, "it was abandoned before its commit");
  return (await findRecord(site))?.record;
}

/** Waits for whoever decided first. */
export async function awaitOutcome(site: Site, record: Trial): Promise<Trial> {
  for (const end = site.monotonic() + switchDeadline; site.monotonic() < end; await site.sleep(200)) {
    const found = await findRecord(site);
    if (found?.record.id !== record.id) throw new Error(`the activation of ${record.toplevel} was replaced by ${found ? `that of ${found.record.toplevel}` : "nothing"}.`);
    if (!found.decision && !isUndecided(found.record)) {
      if (found.record.state === "pending") throw new Error(found.record.reason);
      return found.record;
    }
  }
  throw new Error(`the activation of ${record.toplevel} is being ended by another process, which did not finish in ${switchDeadline / 60_000} minutes. See "systemctl status ${watchdogUnit}".`);
}

/** Gives whoever rolls back the time for it, and whoever has only just decided the time to say who it is. */
async function withoutLiveDecider(site: Site): Promise<Found | undefined> {
  const begin = site.monotonic();
  for (;;) {
    const found = await findRecord(site);
    if (found?.decision !== "rolling-back") return found;
    const { decider } = found.record;
    const patience = decider === undefined ? 2_000 : (await isAlive(decider)) ? switchDeadline : 0;
    if (site.monotonic() - begin >= patience) return found;
    await site.sleep(200);
  }
}

async function setBootSystem(site: Site, toplevel: string): Promise<void> {
  await site.run(["nix-env", "--profile", site.layout.systemProfile, "--set", toplevel], { deadline: 120_000 });
}
