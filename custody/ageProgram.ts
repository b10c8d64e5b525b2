import { execa } from "execa";

/** In milliseconds: long enough to find a token, type its PIN and touch it. */
const DEADLINE = 120_000;

/** Arguments with which the age program seals for recipients, armoured. @see age(1) */
export const sealArguments = (recipients: readonly string[]): string[] => ["--encrypt", "--armor", ...recipients.flatMap((one) => ["--recipient", one])];

/** Arguments with which the age program opens its stdin. */
export const openArguments = (identityFile: string): string[] => ["--decrypt", "--identity", identityFile];

/** Seals a text by the age program, which asks the recipients' plugins. */
export const sealByProgram = (plaintext: string, recipients: readonly string[]): Promise<string> => age(sealArguments(recipients), plaintext, "seal for a plugin's recipient");

/**
 * Opens a text by the age program and an identity file of a plugin's. On a terminal the plugin may ask for a PIN or a touch there.
 *
 * @throws with what age and its plugin said
 */
export const openByProgram = (sealed: string, identityFile: string): Promise<string> => age(openArguments(identityFile), sealed, `open with ${identityFile}`);

/** Secrets travel by stdin and stdout alone; what is asked and answered goes over the terminal itself. */
async function age(args: readonly string[], input: string, deed: string): Promise<string> {
  const terminal = process.stderr.isTTY;
  const result = await execa("age", args, {
    input, reject: false, timeout: DEADLINE, stripFinalNewline: false, stderr: terminal ? ["inherit", "pipe"] : "pipe",
  });
  if (result.exitCode === 0) return String(result.stdout);
  if (result.code === "ENOENT") throw new Error(`To ${deed}, the age program and the plugin must be on the PATH, and age is not. Install it (apt-get install age), and the plugin that the key belongs to.`);
  const said = String(result.stderr).split("\n").filter((line) => line !== "" && !line.startsWith("age: report unexpected")).slice(-5).join("\n");
  throw new Error(`The age program could not ${deed} (${result.timedOut ? `no answer in ${DEADLINE / 1000} s` : `exit ${result.exitCode ?? "by a signal"}`}): ${said || "it said nothing"}`);
}
