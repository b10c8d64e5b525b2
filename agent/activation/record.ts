import { z } from "zod";
import { activationSchema, type Activation } from "../../formats/step.js";
import { parseFormat, printFormat } from "../../formats/versioned.js";
import type { Site } from "../site.js";

/** An activation between its beginning and its end, and afterwards what came of it. */
const recordSchema = z.strictObject({
  ...activationSchema.shape,
  format: z.literal("holdfast-activation/1"),
  /** Tells this activation from an earlier one of the same system. */
  id: z.uuid(),
  /** For people. */
  ends: z.iso.datetime(),
  /** What counts: on the clock that nobody sets. The file is in memory, so it is always of this boot. */
  endsMonotonic: z.number(),
  /** The process that rolls it back: while it lives, others wait for it. */
  decider: z.strictObject({ pid: z.int(), started: z.string() }).optional(),
});
export type Trial = z.infer<typeof recordSchema>;

/** How a pending activation is decided. Who renames the record to its decision first has decided; the other finds nothing to rename. */
const decisions = ["committing", "rolling-back"] as const;
export type Decision = (typeof decisions)[number];

export interface Found {
  readonly record: Trial;
  /** Decided, and not finished yet. */
  readonly decision?: Decision;
}

/** What the host knows of its last activation, or undefined when there was none since it started. */
export async function findRecord(site: Site): Promise<Found | undefined> {
  const { activation } = site.layout;
  // Whoever decides or finishes moves the file while we look: what was missed in one place is in another by the second look.
  for (const path of [activation, ...decisions.map((decision) => decidedPath(site, decision)), activation, ...decisions.map((decision) => decidedPath(site, decision))]) {
    const text = await site.disk.readText(path);
    if (text === undefined) continue;
    const record = parseFormat(recordSchema, path, text);
    const decision = decisions.find((one) => path === decidedPath(site, one));
    return decision ? { record, decision } : { record };
  }
  return undefined;
}

export async function writeRecord(site: Site, record: Trial): Promise<void> {
  await site.disk.writeWhole(site.layout.activation, printFormat(recordSchema, record), 0o600);
}

/** Decides a pending activation. False when somebody else has decided it before. */
export async function decide(site: Site, record: Trial, decision: Decision): Promise<boolean> {
  const found = await findRecord(site);
  if (!found || found.decision || found.record.id !== record.id || !isUndecided(found.record)) return false;
  try {
    await site.disk.rename(site.layout.activation, decidedPath(site, decision));
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
    throw error;
  }
}

/** Notes who and why, so that whoever has to finish a decision knows. */
export async function noteDecision(site: Site, record: Trial, decision: Decision): Promise<void> {
  await site.disk.writeWhole(decidedPath(site, decision), printFormat(recordSchema, record), 0o600);
}

/** Ends a decision with what came of it. */
export async function finish(site: Site, decision: Decision, outcome: Trial): Promise<void> {
  await site.disk.writeWhole(decidedPath(site, decision), printFormat(recordSchema, outcome), 0o600);
  await site.disk.rename(decidedPath(site, decision), site.layout.activation);
}

/** Pending without a reason. With one, it was to be rolled back and that failed. */
export function isUndecided(record: Trial): boolean {
  return record.state === "pending" && record.reason === undefined;
}

export function answerOf({ state, toplevel, previous, secretsVersion, reason }: Trial): Activation {
  return { state, toplevel, previous, ...(secretsVersion !== undefined && { secretsVersion }), ...(reason !== undefined && { reason }) };
}

function decidedPath(site: Site, decision: Decision): string {
  return `${site.layout.activation}.${decision}`;
}
