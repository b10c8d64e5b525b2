import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { writeRecord } from "../../custody/records.js";
import { parseFormat } from "../../formats/versioned.js";

const underwaySchema = z.strictObject({
  /** What is rotated: `ssh`, `age wallet`, `secret alice/lnd-tls-key`, `wireguard alice/phone`. */
  subject: z.string(),
  /** What the operator types to go on. */
  command: z.string(),
  began: z.iso.datetime(),
  /** The phase that was begun last. All before it are done. */
  phase: z.string(),
  /** What later phases must know of earlier ones. Public. */
  facts: z.record(z.string(), z.string()),
});
/** A rotation that has begun and is not over. */
export type Underway = z.infer<typeof underwaySchema>;

const journalSchema = z.strictObject({ format: z.literal("holdfast-rotation/1"), rotations: z.array(underwaySchema) });

const journalFile = (state: string): string => join(state, "rotation.json");

/**
 * The rotations of an environment that are under way.
 *
 * @param state the environment's private folder
 */
export function underway(state: string): readonly Underway[] {
  const file = journalFile(state);
  return existsSync(file) ? parseFormat(journalSchema, file, readFileSync(file, "utf8")).rotations : [];
}

function write(state: string, rotations: readonly Underway[]): void {
  if (rotations.length === 0) rmSync(journalFile(state), { force: true });
  else writeRecord(journalFile(state), { format: "holdfast-rotation/1", rotations });
}

/** Writes how far a rotation is: before the phase's own work. */
export const noteProgress = (state: string, rotation: Underway): void =>
  write(state, [...underway(state).filter(({ subject }) => subject !== rotation.subject), rotation]);

/** Takes a rotation that is over, or was given up, out of the journal. */
export const noteEnd = (state: string, rotation: Underway): void => write(state, underway(state).filter(({ subject }) => subject !== rotation.subject));
