import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { noteEnd, noteProgress, underway, type Underway } from "./journal.js";

/** A phase in which a rotation may rest for days, while others go on. */
export const WAITING = "wait";

/** One part of a rotation. Killed in its middle, it is done again from its beginning. */
export interface Phase {
  readonly name: string;
  /** What the operator reads when it begins. */
  readonly says: string;
  readonly work: () => Promise<void>;
}

/** A rotation that is to begin. */
export type Beginning = Pick<Underway, "subject" | "command"> & { readonly facts?: Underway["facts"] };

/**
 * The rotation of this subject that is under way; undefined when there is none.
 *
 * @throws while another one is under way that does not merely wait: two at once could not tell whose doing a fault is
 */
export function resumed(state: string, subject: string): Underway | undefined {
  const all = underway(state);
  const own = all.find((one) => one.subject === subject);
  const other = all.find((one) => one !== own && one.phase !== WAITING);
  if (other !== undefined) throw new Error(`The rotation of ${other.subject} is under way (since ${other.began}, at "${other.phase}"). Finish it first: ${other.command}`);
  return own;
}

/** Writes a new rotation into the journal. */
export function begin(state: string, { subject, command, facts = {} }: Beginning, first: string, now: Date): Underway {
  const rotation = { subject, command, began: now.toISOString(), phase: first, facts };
  noteProgress(state, rotation);
  return rotation;
}

/**
 * Does the phases of a rotation from the one that it is at, each noted before it begins, and takes the rotation out of the journal when all are done.
 *
 * @throws what a phase throws; the rotation then stays where it is
 */
export async function walk(state: string, rotation: Underway, phases: readonly Phase[], say: (line: string) => void): Promise<void> {
  const at = phases.findIndex(({ name }) => name === rotation.phase);
  if (at < 0) throw new Error(`The journal says that the rotation of ${rotation.subject} is at "${rotation.phase}", and this version of holdfast has no such phase. Finish it with the version that began it.`);
  for (const { name, says, work } of phases.slice(at)) {
    noteProgress(state, { ...rotation, phase: name });
    say(says);
    await work();
  }
  forgetDrafts(state);
  noteEnd(state, rotation);
}

/** Half-written files of runs that were cut short: keys may be in them. */
function forgetDrafts(state: string): void {
  for (const name of readdirSync(state)) if (/\.part$|^rotation\.json\.\d+$/.test(name)) rmSync(join(state, name), { force: true });
}
