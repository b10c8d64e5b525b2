import { z } from "zod";
import { gateReportSchema, type GateReport } from "../../formats/gate.js";
import { parseFormat, printFormat } from "../../formats/versioned.js";
import { readIfThere, writeWhole } from "../files.js";
import { systemHost, type GateHost } from "./host.js";

const questionSchema = z.strictObject({
  /** The report that is known already, by its `changed`: the answer waits for another one, for some time. */
  since: z.iso.datetime().optional(),
});

/** How long an answer waits for news, and between two looks, in milliseconds. */
const PATIENCE = 20_000;
const LOOK = 200;

/**
 * What the gate says of itself.
 *
 * @param input JSON: `{ since? }`; nothing asks for what is known now
 */
export async function gateReport(input = "", host: GateHost = systemHost): Promise<GateReport> {
  const { since } = input === "" ? {} : parseFormat(questionSchema, "what gate-report was asked", input);
  for (let waited = 0; ; waited += LOOK) {
    const report = await currentReport(host);
    if (report.changed !== since || waited >= PATIENCE) return report;
    await host.pause(LOOK);
  }
}

/** The gate's last word; of one that has not run since the host started, that. */
async function currentReport(host: GateHost): Promise<GateReport> {
  const text = await readIfThere(host.paths.gateReport);
  if (text !== undefined) return parseFormat(gateReportSchema, host.paths.gateReport, text);
  return { format: "holdfast-gate/1", state: "working", phase: "the gate has not run yet", changed: host.now().toISOString() };
}

/** Says what the gate does now: in memory, for it is true of this start of the host alone. */
export async function say(host: { readonly paths: Pick<GateHost["paths"], "gateReport">; now(): Date }, report: Omit<GateReport, "format" | "changed">): Promise<void> {
  await writeWhole(host.paths.gateReport, printFormat(gateReportSchema, { format: "holdfast-gate/1", ...report, changed: host.now().toISOString() }), 0o600);
}
