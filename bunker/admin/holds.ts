import { readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { writeSynced } from "../files.js";

/**
 * Keys that somebody locked on purpose: the unlock loop of the next start leaves them locked, until an admin or the operator unlocks them by name.
 * Kept in `held.json` beside the database, not inside: a restored backup neither brings a panic back nor ends one.
 */
export interface Holds {
  names(): ReadonlySet<string>;
  /** On the disk before it returns. */
  hold(name: string): void;
  /** A panic: these, and whatever is just being opened or made. */
  holdAll(names: readonly string[]): void;
  release(name: string): void;
  /** How often this one was held so far in this process, alone or with all: an opening that was under way meanwhile is undone. */
  count(name: string): number;
}

const format = z.strictObject({ format: z.literal("holdfast-held/1"), keys: z.array(z.string()) });

/** @throws when the file is damaged: then nobody knows what was locked, and nothing may be opened */
export function openHolds(dataFolder: string): Holds {
  const path = join(dataFolder, "held.json");
  let held = read(path);
  let panics = 0;
  const counts = new Map<string, number>();
  const write = (next: ReadonlySet<string>): void => {
    if (next.size === held.size && [...next].every((name) => held.has(name))) return;
    writeSynced(path, `${JSON.stringify({ format: "holdfast-held/1", keys: [...next] })}\n`);
    held = next;
  };
  return {
    names: () => held,
    hold: (name) => {
      counts.set(name, (counts.get(name) ?? 0) + 1);
      write(new Set([...held, name]));
    },
    holdAll: (names) => {
      panics += 1;
      write(new Set([...held, ...names]));
    },
    release: (name) => write(new Set([...held].filter((one) => one !== name))),
    count: (name) => panics + (counts.get(name) ?? 0),
  };
}

function read(path: string): ReadonlySet<string> {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return new Set();
    throw error;
  }
  try {
    return new Set(format.parse(JSON.parse(text)).keys);
  } catch {
    // Whatever does not fit it: the remedy is the same.
    throw new Error(`${path} is damaged, and says which keys were locked on purpose. Look whether a panic lock is on; if none is, remove the file.`);
  }
}
