import { ProgramFailure } from "../run.js";
import type { Site } from "../site.js";

/** The transient units of an activation. A second one of the same name cannot start. */
export const activationUnit = "holdfast-activation.service";
export const rollbackUnit = "holdfast-rollback.service";
export const watchdogUnit = "holdfast-watchdog.service";

export interface Switch {
  readonly toplevel: string;
  readonly action: "test" | "boot";
  readonly unit: string;
  /** Milliseconds. */
  readonly deadline: number;
}

/**
 * Runs a system's switch-to-configuration in a unit of its own, which neither a lost connection nor this process's death stops. Its words go to the journal:
 * on a pipe of ours it would die with us, half-way.
 *
 * @returns its exit code; 1 also when systemd could not run it, undefined when it did not end in time
 */
export async function switchTo(site: Site, { toplevel, action, unit, deadline }: Switch): Promise<number | undefined> {
  try {
    await site.run(
      [
        "systemd-run", `--unit=${unit}`, `--description=${action} ${toplevel}`, "--wait", "--collect", "--quiet", "--no-ask-password",
        "--service-type=exec", "--property=TimeoutStopSec=10", `${toplevel}/bin/switch-to-configuration`, action,
      ],
      { deadline },
    );
    return 0;
  } catch (error) {
    if (error instanceof ProgramFailure) return error.exitCode;
    throw error;
  }
}

/** What an exit code of switch-to-configuration means, with the units or the words that explain it. Never fails: a rollback must not wait for a reason. */
export async function explainExit(site: Site, toplevel: string, exitCode: number | undefined): Promise<string> {
  switch (exitCode) {
    case undefined: return `${toplevel} was not activated in time`;
    case 4: return `units of ${toplevel} failed: ${await orFailure(async () => (await failedUnits(site)).join(", ")) || "none of them failed any more when asked"}`;
    case 100: return `${toplevel} cannot be activated without a reboot`;
    case 2: return `the activation script of ${toplevel} failed: ${await orFailure(() => lastWords(site))}`;
    default: return `${toplevel} was not activated (exit ${exitCode}): ${await orFailure(() => lastWords(site))}`;
  }
}

/** Names of the units that failed, our transient ones left out. */
export async function failedUnits(site: Pick<Site, "run">): Promise<string[]> {
  const listed = await site.run(["systemctl", "list-units", "--failed", "--plain", "--no-legend", "--full", "--no-pager"], { deadline: 30_000 });
  const ours = [activationUnit, rollbackUnit, watchdogUnit];
  return listed.split("\n").map((line) => line.trim().split(/\s+/)[0]!).filter((unit) => unit !== "" && !ours.includes(unit));
}

/** Arms the watchdog. It is the new system's agent by its own store path, and finds its programs even where neither system is current. */
export async function armWatchdog(site: Site, toplevel: string, previous: string): Promise<void> {
  await site.run(
    [
      "systemd-run", `--unit=${watchdogUnit}`, "--description=rolls back unless the activation is committed", "--collect", "--quiet", "--no-ask-password",
      "--service-type=exec", "--property=Restart=on-failure", "--property=RestartSec=1", "--property=OOMScoreAdjust=-900",
      `--setenv=PATH=${toplevel}/sw/bin:${previous}/sw/bin:${process.env["PATH"] ?? "/run/current-system/sw/bin"}`,
      `${toplevel}/sw/bin/holdfast-agent`, "activation-watchdog",
    ],
    { deadline: 30_000 },
  );
}

export async function isActive(site: Site, unit: string): Promise<boolean> {
  try {
    await site.run(["systemctl", "is-active", "--quiet", "--", unit], { deadline: 30_000 });
    return true;
  } catch (error) {
    if (error instanceof ProgramFailure) return false;
    throw error;
  }
}

/** Stops a unit; one that is not there is stopped. */
export async function stopUnit(site: Site, unit: string): Promise<void> {
  try {
    await site.run(["systemctl", "stop", "--", unit], { deadline: 60_000 });
  } catch (error) {
    if (!(error instanceof ProgramFailure && error.exitCode === 5)) throw error;
  }
}

async function orFailure(ask: () => Promise<string>): Promise<string> {
  try {
    return await ask();
  } catch (error) {
    return `(it cannot be found out: ${(error as Error).message})`;
  }
}

async function lastWords(site: Site): Promise<string> {
  const words = await site.run(["journalctl", `--unit=${activationUnit}`, "--lines=6", "--output=cat", "--no-pager"], { deadline: 30_000 });
  return words.trim().replaceAll("\n", " | ") || "it said nothing";
}
