import { z } from "zod";

/**
 * What the gate says of itself. `open`: identity daemons run, as the node the stack names. `waiting-for-identity`: it needs the one-use bundle.
 * `waiting-for-chain`: the chain backend is not synced yet. `working`: between decision and opening. `stop`: it refuses, and says why and what to do.
 */
export const gateStates = ["open", "waiting-for-identity", "waiting-for-chain", "working", "stop"] as const;

/** Why identity daemons may run: a wallet made for the first time, one found on the disk, one restored from seed and backup. */
export const gateDecisions = ["fresh", "adopt", "restore"] as const;

export const gateReportSchema = z.strictObject({
  format: z.literal("holdfast-gate/1"),
  state: z.enum(gateStates),
  decision: z.enum(gateDecisions).optional(),
  /** What it does right now, for a person: "importing channel.backup". */
  phase: z.string(),
  /** With `stop`. */
  reason: z.string().optional(),
  remedy: z.string().optional(),
  nodePublicKey: z.string().optional(),
  changed: z.iso.datetime(),
});
export type GateReport = z.infer<typeof gateReportSchema>;
