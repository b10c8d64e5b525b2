import { createInterface } from "node:readline";
import { execa } from "execa";

/** A command that ended well: how long it took, and when it said what. Times in seconds. */
export interface Timed {
  readonly seconds: number;
  readonly lines: readonly { readonly at: number; readonly text: string }[];
}

/** Ends what is being timed, as a failure. */
export const interruption = new AbortController();

/** Runs a command and notes when each line came. @throws with all that it said when it fails, or when it takes longer than 15 minutes */
export async function timed(argv: readonly string[], options: { readonly cwd: string; readonly environment: Readonly<Record<string, string>> }): Promise<Timed> {
  const begin = performance.now();
  const since = (): number => (performance.now() - begin) / 1000;
  const lines: { at: number; text: string }[] = [];
  const running = execa(argv[0]!, argv.slice(1), {
    cwd: options.cwd, env: options.environment, extendEnv: false, all: true, buffer: false, reject: false, stdin: "ignore", timeout: 900_000, cancelSignal: interruption.signal,
  });
  createInterface({ input: running.all }).on("line", (text) => lines.push({ at: since(), text }));
  const { failed, exitCode } = await running;
  const seconds = since();
  if (failed) throw new Error(`${argv.slice(0, 3).join(" ")} failed (exit ${exitCode}):\n${lines.map(({ text }) => text).join("\n")}`);
  return { seconds, lines };
}

/** When the last line came that says so. */
export function lastAt({ lines }: Timed, pattern: RegExp): number {
  const found = lines.findLast(({ text }) => pattern.test(text));
  if (found === undefined) throw new Error(`Nothing said ${pattern}:\n${lines.map(({ text }) => text).join("\n")}`);
  return found.at;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((one, other) => one - other);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
