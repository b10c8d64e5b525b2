import type { Deed, Time } from "../model.js";

const minute = 60_000;

/** Keeps the audit readable, and the disk from being filled, while somebody is refused again and again. */
export interface Refusals {
  /** @returns the deed while its source has lines left in this minute; what is beyond them is only counted */
  add(source: string, deed: Deed, now: Time): Deed | undefined;
  /** One line for each source with more refusals than lines, once their minute is over. */
  sums(now: Time): Deed[];
}

/**
 * Each source (a client, or all strangers together: fresh keys cost nothing) has so many lines a minute in the audit, the rest becomes one line with their number.
 *
 * @param linesPerMinute for each source
 */
export function createRefusals(linesPerMinute = 10): Refusals {
  const seen = new Map<string, { readonly since: Time; written: number; counted: number }>();
  return {
    add(source, deed, now) {
      const entry = seen.get(source) ?? { since: now, written: 0, counted: 0 };
      seen.set(source, entry);
      if (entry.written < linesPerMinute) {
        entry.written += 1;
        return deed;
      }
      entry.counted += 1;
      return undefined;
    },
    sums(now) {
      const over = [...seen].filter(([, { since }]) => now - since >= minute || now < since);
      for (const [source] of over) seen.delete(source);
      return over.filter(([, { counted }]) => counted > 0).map(([source, { since, counted }]) => ({
        action: "refusals",
        who: source,
        outcome: "refused",
        note: `${counted} more requests since ${new Date(since).toISOString()}`,
      }));
    },
  };
}
