import { NotOpened, type Keyring } from "./keyring/keyring.js";

const VARIABLES = ["NSECBUNKER_AUTOUNLOCK_PASSPHRASE", "NSEC_BUNKER_AUTOUNLOCK_PASSPHRASE"] as const;

/** What opens the keys at the start, and the name of the variable that it came from. */
export interface AutounlockSource {
  readonly source: string;
  readonly passphrase: string;
}

/**
 * The passphrase that the environment gives, itself or in a file; undefined when it gives none: autounlock is off, and keys wait for `unlock_key`.
 *
 * What is read is deleted from the environment, so that no child and no crash report has it.
 *
 * @param readFile the text of a file, or an error
 * @throws when more than one variable is set, when a file cannot be read, when there is nothing in it
 */
export function autounlockSource(env: NodeJS.ProcessEnv, readFile: (path: string) => string): AutounlockSource | undefined {
  const set = VARIABLES.flatMap((name) => [name, `${name}_FILE`]).filter((name) => env[name] !== undefined);
  const values = set.map((name) => env[name]!);
  for (const name of set) delete env[name];
  const [source] = set;
  if (source === undefined) return undefined;
  if (set.length > 1) throw new Error(`Autounlock: ${set.join(" and ")} are set, and one of them can be meant. Set one and start again.`);
  const passphrase = source.endsWith("_FILE") ? readPassphrase(source, values[0]!, readFile) : values[0]!;
  if (passphrase === "") throw new Error(`Autounlock: ${source} is set and gives an empty passphrase. Give one, or leave the variable out: keys wait for unlock_key then.`);
  return { source, passphrase };
}

function readPassphrase(source: string, path: string, readFile: (path: string) => string): string {
  try {
    return readFile(path).replace(/\r?\n$/, "");
  } catch (error) {
    throw new Error(`Autounlock: the file that ${source} names cannot be read: ${(error as Error).message}.`, { cause: error });
  }
}

export interface AutounlockArgs extends AutounlockSource {
  readonly keyring: Keyring;
  readonly log: (level: "info" | "warn" | "error", line: string) => void;
  /** Once for each key that exists. */
  readonly count: (what: "unlocked" | "locked") => void;
  /** Milliseconds that only go on. */
  readonly clock: () => number;
  /** Ends the loop before the next key: somebody locked everything. */
  readonly stop?: AbortSignal;
}

export interface Autounlocked {
  readonly unlocked: number;
  readonly total: number;
  readonly failed: readonly { readonly name: string; readonly reason: string }[];
}

/** Opens every key of the keystore with one passphrase, one after the other. A key that does not open is named and stops no other; one that was deleted meanwhile is left. Never throws. */
export async function autounlock({ keyring, passphrase, source, log, count, clock, stop }: AutounlockArgs): Promise<Autounlocked> {
  const start = clock();
  const failed: { name: string; reason: string }[] = [];
  let unlocked = 0;
  for (const { name } of keyring.names()) {
    const failure = stop?.aborted ? { reason: "stopped", line: `autounlock: ${name} stays locked: the loop was stopped`, level: "warn" as const } : await failureOf(keyring, name, passphrase);
    if (failure === "deleted") continue;
    if (failure === undefined) {
      unlocked++;
      log("info", `autounlock: unlocked ${name}`);
    } else {
      failed.push({ name, reason: failure.reason });
      log(failure.level, failure.line);
    }
    count(failure === undefined ? "unlocked" : "locked");
  }
  const total = unlocked + failed.length;
  log("info", `autounlock: enabled (source=${source}), unlocked ${unlocked}/${total} keys in ${Math.round(clock() - start)}ms`);
  return { unlocked, total, failed };
}

async function failureOf(keyring: Keyring, name: string, passphrase: string): Promise<{ reason: string; line: string; level: "warn" | "error" } | "deleted" | undefined> {
  try {
    await keyring.unlock(name, passphrase);
    return undefined;
  } catch (error) {
    if (!(error instanceof NotOpened)) return { reason: "failed", line: `autounlock: failed for ${name}: ${(error as Error).message}`, level: "error" };
    if (error.reason === "no-such-key") return "deleted";
    if (error.reason === "wrong-passphrase") return { reason: error.reason, line: `autounlock: wrong passphrase for ${name}`, level: "warn" };
    return { reason: error.reason, line: `autounlock: failed for ${name}: ${error.message}`, level: "error" };
  }
}
