import fc from "fast-check";
import { expect } from "vitest";

/** A parser of what comes from outside. */
export interface Target {
  readonly name: string;
  /** What it is given: valid things with something wrong in them, and garbage. */
  readonly given: fc.Arbitrary<string>;
  /** Gives a value, or throws an error of its own. */
  readonly parse: (text: string) => unknown;
  /** Its own errors: what each of them says of where it looked. */
  readonly names: RegExp;
  /** What is in the valid things and must not be in an error. */
  readonly secrets?: readonly string[];
  /** How much slower than a schema it is: gets so many fewer runs. */
  readonly cost?: number;
}

/** Milliseconds of a processor's time that a parser may take for any one text. */
const LONGEST = 3_000;
/** From this cost on, the text that failed is not made smaller. */
const TOO_SLOW = 20;
/** So many characters in a row tell a secret. */
const PART = 14;
/** JavaScript's own errors tell a mistake of ours, not of what was given. */
const MISTAKES = [TypeError, RangeError, ReferenceError, SyntaxError, URIError];

/** Runs a parser on many texts: each gives a value or an error of ours that names what is wrong, in time, and quotes no secret. */
export async function fuzz({ given, parse, names, secrets = [], cost = 1 }: Target, runs: number): Promise<void> {
  const parts = secrets.flatMap((secret) => Array.from({ length: secret.length - PART + 1 }, (_, index) => secret.slice(index, index + PART)));
  await fc.assert(fc.asyncProperty(given, async (text) => {
    const before = process.cpuUsage();
    const error = await failure(() => parse(text));
    expect(process.cpuUsage(before).user / 1000, "took too long").toBeLessThan(LONGEST);
    expect(Object.keys(Object.prototype)).toEqual([]);
    expect(({} as Record<string, unknown>)["polluted"]).toBeUndefined();
    if (error === undefined) return;
    expect(error).toBeInstanceOf(Error);
    const { message, stack } = error as Error;
    expect(MISTAKES.filter((mistake) => error instanceof mistake), stack ?? message).toEqual([]);
    expect(message).toMatch(names);
    expect(parts.filter((part) => message.includes(part)), "quotes a secret").toEqual([]);
  }), { numRuns: Math.ceil(runs / cost), endOnFailure: cost >= TOO_SLOW });
}

async function failure(parse: () => unknown): Promise<unknown> {
  try {
    await parse();
    return undefined;
  } catch (error) {
    return error;
  }
}
