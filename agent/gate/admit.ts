import { readFile } from "node:fs/promises";
import { z } from "zod";
import type { GateReport } from "../../formats/gate.js";
import { settingsSchema } from "../../formats/settings.js";
import { parseFormat } from "../../formats/versioned.js";
import { writeWhole } from "../files.js";
import { run } from "../run.js";
import { AdmissionRefusal, lackingIn, openAdmission } from "./admission.js";
import { gateUnit, systemHost, type GateHost } from "./host.js";
import { gateReport } from "./report.js";

/** What the admit verb takes: the one-use bundle, an armoured age file for this host's recipient. */
export const admitInputSchema = z.strictObject({ sealed: z.string().startsWith("-----BEGIN AGE ENCRYPTED FILE-----") });

/**
 * Takes the one-use bundle, keeps it in memory, still sealed, and lets the gate look again. A gate that is open already loses nothing: it adopts its disk.
 *
 * @returns the gate's report as it was when it was asked to look again
 * @throws AdmissionRefusal when it is not for this host or for the node that the stack names; then nothing was kept
 */
export async function admit(input: string, host: GateHost = systemHost, restartGate = askSystemd): Promise<GateReport> {
  const { sealed } = parseFormat(admitInputSchema, "the input of admit", input);
  const settings = parseFormat(settingsSchema, host.paths.settings, await readFile(host.paths.settings, "utf8"));
  const lacking = lackingIn(await openAdmission(host, settings, sealed), settings);
  if (lacking !== "") throw new AdmissionRefusal(`This one-use bundle lacks what the settings name: ${lacking}. Nothing was kept. Run the deployment again: it seals all of the node's identities for this host.`);
  await writeWhole(host.paths.admission, sealed, 0o600);
  await restartGate();
  return gateReport("", host);
}

async function askSystemd(): Promise<void> {
  await run(["systemctl", "restart", "--no-block", gateUnit], { deadline: 30_000 });
}
