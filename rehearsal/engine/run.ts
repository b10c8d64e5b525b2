import { spawn } from "node:child_process";

/** A program to run here. The deadline is not optional. */
export interface Program {
  readonly argv: readonly [string, ...string[]];
  readonly folder?: string;
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** In milliseconds, after which it is killed and counts as failed. */
  readonly deadline: number;
  readonly signal?: AbortSignal | undefined;
  /** Gets each line of stderr while it runs. */
  readonly onLine?: (line: string) => void;
}

/** A program that could not be started, failed, or took too long. */
export class ProgramFailure extends Error {
  constructor(readonly argv: readonly string[], readonly ending: string, readonly said: string) {
    super(`"${argv.join(" ")}" ${ending}: ${said.trim() || "it said nothing"}`);
  }
}

/** Longest tail of stderr that an error repeats, in characters. */
const TAIL = 4_000;

/**
 * Runs a program and gives its stdout. It stays in our process group, so that the terminal's Ctrl-C ends it too.
 *
 * @throws ProgramFailure on any exit but 0, with the end of what it wrote to stderr; the signal's reason when that ended it
 */
export async function run(program: Program): Promise<string> {
  program.signal?.throwIfAborted();
  const child = spawn(program.argv[0], program.argv.slice(1), {
    cwd: program.folder,
    env: { ...process.env, ...program.environment },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const kill = (): void => {
    child.kill("SIGKILL");
    // A child of its own may hold these for ever.
    child.stdout.destroy();
    child.stderr.destroy();
  };
  let late = false;
  const timer = setTimeout(() => { late = true; kill(); }, program.deadline);
  program.signal?.addEventListener("abort", kill, { once: true });
  process.once("exit", kill);

  let [stdout, stderr, line] = ["", "", ""];
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => { stdout += chunk; });
  child.stderr.setEncoding("utf8").on("data", (chunk: string) => {
    stderr = (stderr + chunk).slice(-TAIL);
    const lines = (line + chunk).split("\n");
    line = lines.pop() ?? "";
    for (const one of lines) program.onLine?.(one);
  });
  const ending = await new Promise<string | undefined>((resolve) => {
    child.once("error", (error) => resolve(`could not be started (${error.message})`));
    child.once("close", (code, by) => resolve(code === 0 ? undefined : code === null ? `was ended by ${by}` : `failed with exit ${code}`));
  });
  clearTimeout(timer);
  program.signal?.removeEventListener("abort", kill);
  process.removeListener("exit", kill);
  program.signal?.throwIfAborted();
  if (ending !== undefined) throw new ProgramFailure(program.argv, late ? `took longer than ${program.deadline / 1000} s` : ending, stderr);
  return stdout;
}
