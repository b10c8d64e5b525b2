import { execa } from "execa";

/** A program that ran and failed, or did not end in time. Its input is never part of the message. */
export class ProgramFailure extends Error {
  constructor(readonly argv: readonly string[], readonly exitCode: number | undefined, readonly stderr: string) {
    super(`${argv.join(" ")}: ${exitCode === undefined ? "did not end in time or could not be started" : `exit ${exitCode}`}: ${stderr.trim() || "it said nothing"}`);
  }
}

export interface RunOptions {
  /** Goes to stdin: the one way in which a secret may travel. */
  readonly input?: string;
  /** Milliseconds after which the program is killed and counts as failed. */
  readonly deadline: number;
  /** Added to the agent's own environment. Names of files, never secrets. */
  readonly environment?: Readonly<Record<string, string>>;
}

/**
 * Runs a program and gives its stdout: the one place of the agent that starts processes.
 *
 * @throws ProgramFailure on any exit but 0
 */
export async function run(argv: readonly [string, ...string[]], options: RunOptions): Promise<string> {
  const result = await execa(argv[0], argv.slice(1), {
    input: options.input ?? "",
    timeout: options.deadline,
    killSignal: "SIGKILL",
    env: { ...options.environment },
    reject: false,
    stripFinalNewline: false,
  });
  if (result.exitCode !== 0 || result.failed) throw new ProgramFailure(argv, result.exitCode, result.stderr || result.shortMessage || "");
  return result.stdout;
}
