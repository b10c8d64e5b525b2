import { execa } from "execa";

/** What a program did. */
export interface Finished {
  /** Undefined when the program was ended by a signal or its deadline. */
  readonly exitCode: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  /** Goes to the program's stdin: the one way in which a secret may travel. */
  readonly input?: string;
  /** Where it runs; here unless told. */
  readonly folder?: string;
  /** Milliseconds after which the program is killed. One minute unless told. */
  readonly deadline?: number;
  /** Added to the environment. Never a secret. */
  readonly environment?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal | undefined;
  /** Is given each line of stderr while the program runs. */
  readonly onLine?: (line: string) => void;
}

/** A program that ran and failed, or could not be run. Its input is never part of the message. */
export class ProgramFailure extends Error {
  constructor(readonly argv: readonly string[], readonly finished: Finished, what: string) {
    super(`"${argv.join(" ")}" failed (${what}): ${finished.stderr.trim().split("\n").slice(-5).join("\n") || "it said nothing"}`);
  }
}

/** Runs a program to its end, whatever that end is. Throws only when the program cannot be started. */
export async function attempt(argv: readonly string[], options: RunOptions = {}): Promise<Finished & { readonly timedOut: boolean }> {
  const [program, ...args] = argv;
  const child = execa(program!, args, {
    reject: false,
    ...(options.input === undefined ? { stdin: "ignore" as const } : { input: options.input }),
    ...(options.folder ? { cwd: options.folder } : {}),
    ...(options.environment ? { env: options.environment } : {}),
    ...(options.signal ? { cancelSignal: options.signal } : {}),
  });
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    child.kill("SIGKILL");
    // A child of its own may hold these for ever.
    child.stdout.destroy();
    child.stderr.destroy();
  }, options.deadline ?? 60_000);
  if (options.onLine) for await (const line of child.iterable({ from: "stderr" })) options.onLine(line);
  const result = await child;
  clearTimeout(timer);
  options.signal?.throwIfAborted();
  if (result.code === "ENOENT") {
    throw new ProgramFailure(argv, { exitCode: undefined, stdout: "", stderr: `there is no ${program} on this machine; "holdfast doctor" says what is missing` }, "not found");
  }
  return { exitCode: result.exitCode, stdout: String(result.stdout), stderr: String(result.stderr), timedOut };
}

/**
 * Runs a program and gives its stdout.
 *
 * @throws ProgramFailure on any exit but 0
 */
export async function run(argv: readonly string[], options: RunOptions = {}): Promise<string> {
  const finished = await attempt(argv, options);
  if (finished.exitCode === 0) return finished.stdout;
  throw new ProgramFailure(argv, finished, finished.timedOut ? "not finished in time" : finished.exitCode === undefined ? "killed" : `exit ${finished.exitCode}`);
}

/**
 * Waits until a condition holds.
 *
 * @param deadline milliseconds
 * @returns whether it held in time
 */
export async function until(condition: () => boolean | Promise<boolean>, deadline: number, pause = 20): Promise<boolean> {
  const end = Date.now() + deadline;
  for (;;) {
    if (await condition()) return true;
    if (Date.now() >= end) return false;
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
}
