import { setTimeout as pause } from "node:timers/promises";
import { z } from "zod";
import { gateReportSchema, type GateReport } from "../../../formats/gate.js";
import { fileIdentitySchema, identityFileSchema } from "../../../formats/identity.js";
import { placeSchema } from "../../../formats/place.js";
import { connectionSchema } from "../../../formats/step.js";
import { askAgent } from "../../host/agent.js";
import { runOnHost } from "../../host/ssh.js";
import { runStep, tell } from "../../stepProgram.js";
import { admissionFor } from "../admission.js";

const input = z.strictObject({
  connection: connectionSchema,
  place: placeSchema,
  identity: identityFileSchema,
  identities: z.array(fileIdentitySchema),
  recipient: z.string(),
  walletIdentityFile: z.string().optional(),
  records: z.string(),
  toplevel: z.string(),
});

/** How long a restore may take before this step stops waiting. The gate itself goes on. */
const PATIENCE = 45 * 60_000;

const GATE = "holdfast-gate.service";

/** Waits until the gate has opened the node, and brings it the node's identities, sealed for this host alone, when it asks. */
await runStep(input, async ({ connection, toplevel: _, ...wanted }) => {
  const { place } = wanted;
  const end = Date.now() + PATIENCE;
  const ask = (verb: string, question: unknown): Promise<GateReport> => askAgent(connection, verb, question, gateReportSchema, { deadline: 60_000 });
  let told = "";
  let since: string | undefined;
  let stopped: string | undefined;
  for (let admitted = false; ; await pause(300)) {
    const report = await ask("gate-report", { ...(since !== undefined && { since }) });
    if (since === undefined && report.state === "stop") {
      tell("the gate had stopped; asking it to look again");
      await runOnHost(connection, `systemctl restart --no-block ${GATE}`, { deadline: 60_000 });
      stopped = report.changed;
    }
    since = report.changed;
    // Its word from before it was asked is not its answer.
    if (report.changed === stopped && Date.now() < end) continue;
    const line = `gate: ${report.state}: ${report.phase}`;
    if (line !== told) tell(told = line);
    if (report.state === "open") return report;
    if (report.state === "stop") throw new Error(`The gate of ${place.node} refuses to open: ${report.reason ?? "it gives no reason."} ${report.remedy ?? ""}`);
    if (report.state === "waiting-for-identity" && !admitted) {
      await ask("admit", { sealed: await admissionFor(wanted, process.env["HOLDFAST_WALLET_SOCK"]) });
      admitted = true;
    }
    if (Date.now() > end) throw new Error(`The gate of ${place.node} is still busy (${report.phase}). It goes on by itself; run this again to wait for it.`);
  }
});
