import { text } from "node:stream/consumers";
import type { z } from "zod";
import { parseFormat } from "../formats/versioned.js";

/**
 * The frame of every step: JSON in on stdin, JSON out on stdout, progress and errors in words on stderr, exit 1 when it failed.
 * No step prints what it was given.
 */
export async function runStep<I>(input: z.ZodType<I>, work: (input: I) => Promise<unknown>): Promise<void> {
  try {
    const given = parseFormat(input, "this step's input", await text(process.stdin));
    process.stdout.write(JSON.stringify(await work(given)));
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  }
}

/** One line of progress, for the person who watches the update. */
export function tell(line: string): void {
  process.stderr.write(`${line}\n`);
}
