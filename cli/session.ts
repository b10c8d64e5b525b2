import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { LocalWorkspace, PulumiCommand, type Stack } from "@pulumi/pulumi/automation/index.js";
import { projectName } from "../config/project.js";
import { readMarks } from "../custody/records.js";
import { ensureEngine } from "../rehearsal/engine/engine.js";
import { forgetInterrupted, requireState } from "./interrupted.js";
import { unlockPassphrase, type Opening, type Unlocked } from "./keys.js";
import { notedNodes } from "./marks.js";
import { recordsFolder, type Places } from "./places.js";
import { clearStaleLocks } from "./staleLock.js";

/**
 * Everything that plain `pulumi` needs in its environment to work on this stack, PATH included.
 * What the user has set already wins.
 */
export async function pulumiEnvironment(places: Places, report: (line: string) => void, until: Unlocked, opening?: Opening): Promise<Record<string, string>> {
  const passphraseFile = await unlockPassphrase(places, until, opening);
  return { ...await engineEnvironment(places, report), ...(passphraseFile !== undefined && { PULUMI_CONFIG_PASSPHRASE_FILE: passphraseFile }) };
}

/** The same without a passphrase: enough to see which stacks there are. */
export async function engineEnvironment(places: Places, report: (line: string) => void): Promise<Record<string, string>> {
  const engine = await ensureEngine({ cache: places.cache, report });
  const backend = process.env["PULUMI_BACKEND_URL"] ?? defaultBackend(places);
  if (backend.startsWith("file://")) mkdirSync(new URL(backend), { recursive: true });
  return { ...engine.environment, PATH: [...engine.path, process.env["PATH"] ?? ""].join(":"), PULUMI_BACKEND_URL: backend };
}

/**
 * A folder of the project. Without gocloud's metadata files, which are not written in one go: a deployer killed at the wrong moment would leave an empty one, and
 * Pulumi could not read the state beside it any more ("failed to load checkpoint: EOF").
 *
 * @see gocloud.dev blob/fileblob, URLOpener
 */
const defaultBackend = (places: Places): string => `file://${join(places.project, ".holdfast", "state")}?metadata=skip`;

/** Opens a stack for an update: without what a killed one had begun. */
export async function openStackForUpdate(places: Places, report: (line: string) => void): Promise<Stack> {
  const stack = await openStack(places, report);
  requireState(notedNodes(readMarks(recordsFolder(places))), stack, process.env["PULUMI_BACKEND_URL"]!, projectName(places.project));
  (await forgetInterrupted(stack, process.env["PULUMI_BACKEND_URL"]!, projectName(places.project))).forEach(report);
  return stack;
}

/** Opens a stack for Pulumi's Automation API, made when it is new. Clears the lock of a deployer that died on this machine. */
export async function openStack(places: Places, report: (line: string) => void): Promise<Stack> {
  const environment = await pulumiEnvironment(places, report, "command");
  Object.assign(process.env, environment);
  // It would win over the file. @see pulumi pkg/secrets/passphrase
  if (environment["PULUMI_CONFIG_PASSPHRASE_FILE"] !== undefined) delete process.env["PULUMI_CONFIG_PASSPHRASE"];
  clearStaleLocks(environment["PULUMI_BACKEND_URL"]!, projectName(places.project), places.environment).forEach(report);
  return LocalWorkspace.createOrSelectStack(
    { stackName: places.environment, workDir: places.project },
    // Knowing the CLI's version, the Automation API takes its events over loopback; otherwise it would write them, secrets included, to a file.
    { envVars: environment, pulumiCommand: await PulumiCommand.get() },
  );
}
