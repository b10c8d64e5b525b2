import { gateReportSchema, type GateReport } from "../../formats/gate.js";
import { parseFormat, printFormat } from "../../formats/versioned.js";
import { readIfThere, writeWhole } from "../files.js";
import { systemHost, type GateHost } from "./host.js";

/** What the gate says of itself; of one that has not run since the host started, that. */
export async function gateReport(_input = "", host: GateHost = systemHost): Promise<GateReport> {
  const text = await readIfThere(host.paths.gateReport);
  if (text !== undefined) return parseFormat(gateReportSchema, host.paths.gateReport, text);
  return { format: "holdfast-gate/1", state: "working", phase: "the gate has not run yet", changed: host.now().toISOString() };
}

/** Says what the gate does now: in memory, for it is true of this start of the host alone. */
export async function say(host: GateHost, report: Omit<GateReport, "format" | "changed">): Promise<void> {
  await writeWhole(host.paths.gateReport, printFormat(gateReportSchema, { format: "holdfast-gate/1", ...report, changed: host.now().toISOString() }), 0o600);
}
