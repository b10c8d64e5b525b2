import { existsSync, mkdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { autounlockSource } from "./autounlock.js";
import { makeBackup, writeBackup } from "./backup/make.js";
import { restoreBackup, type Over, type Restored } from "./backup/restore.js";
import { call, NotRunning } from "./control/client.js";
import { importDatabase, publicKeysIn } from "./import/database.js";
import { importKeys } from "./import/keys.js";
import { readPredecessor } from "./import/predecessor.js";
import type { ImportReport } from "./import/report.js";
import { openKeyring } from "./keyring/open.js";
import type { Log } from "./log.js";
import { readConfig, type Places } from "./settings.js";
import { openStore } from "./store/open.js";

/** A backup of a large store, or scrypt for several keys, takes a while. */
const CALL_MS = 120_000;

/**
 * Asks the running bunker, as the operator.
 *
 * @param input a JSON list, or nothing
 * @param passphraseFile what it holds, less a trailing newline, comes after the first parameter: where methods on keys have a passphrase
 */
export async function callOn({ run }: Pick<Places, "run">, method: string, input: string, passphraseFile?: string): Promise<unknown> {
  const [first, ...others] = paramsIn(input);
  if (passphraseFile === undefined) return call(run, method, first === undefined ? [] : [first, ...others], CALL_MS);
  if (first === undefined) throw new Error(`${method} wants a key's name before the passphrase: ["alice"] on stdin.`);
  return call(run, method, [first, passphraseIn(passphraseFile), ...others], CALL_MS);
}

function passphraseIn(file: string): string {
  try {
    return readFileSync(file, "utf8").replace(/\r?\n$/, "");
  } catch (error) {
    throw new Error(`The passphrase cannot be read from ${file} (${(error as NodeJS.ErrnoException).code}).`, { cause: error });
  }
}

function paramsIn(input: string): readonly unknown[] {
  if (input.trim() === "") return [];
  let params: unknown;
  try {
    params = JSON.parse(input);
  } catch {
    // The parser's own words would quote what may be a passphrase.
    throw new Error('The parameters on stdin are no JSON. They are a list, such as ["alice", "passphrase"].');
  }
  if (!Array.isArray(params)) throw new Error('The parameters on stdin are no list. They are one, such as ["alice", "passphrase"].');
  return params;
}

/**
 * Writes everything the bunker is to a file, sealed for age recipients: of a running bunker by asking it, of one that is not by its database.
 *
 * @throws when the database is somebody else's, or there is none
 */
export async function backupTo({ data, run }: Pick<Places, "data" | "run">, recipients: readonly string[], file: string): Promise<string> {
  const backup = await call(run, "backup", [recipients.join(",")], CALL_MS).then(
    (result) => Buffer.from((result as { readonly backup: string }).backup, "base64"),
    (error: unknown) => {
      if (error instanceof NotRunning) return backupOfStopped(data, recipients);
      throw error;
    },
  );
  await writeBackup(file, backup);
  return `${file}: ${backup.length} bytes`;
}

async function backupOfStopped(data: string, recipients: readonly string[]): Promise<Uint8Array> {
  requireOwn(data);
  const path = join(data, "bunker.db");
  if (!existsSync(path)) throw new Error(`There is no bunker in ${data}: nothing to back up. Name its folder with --data.`);
  const store = openStore(path, Date.now);
  try {
    return await makeBackup(store, recipients, Date.now(), data);
  } finally {
    store.close();
  }
}

/** Puts a backup in place. The bunker must not run. @param identityFile an age identity, `AGE-SECRET-KEY-…` */
export async function restoreFrom({ data }: Pick<Places, "data">, file: string, identityFile: string, over: Over): Promise<Restored> {
  mkdirSync(data, { recursive: true, mode: 0o700 });
  requireOwn(data);
  return restoreBackup(readFileSync(file), readFileSync(identityFile, "utf8"), data, { over });
}

/**
 * Takes over what nsecbunkerd had: keys of its configuration, and clients, policies and tokens of its database. Each comes once. The bunker must not run.
 *
 * @param environment may give the passphrase under which keys are sealed that lie in clear, as for the start
 */
export async function importFrom({ data }: Pick<Places, "data">, from: { readonly config: string; readonly database?: string }, environment: NodeJS.ProcessEnv, log: Log): Promise<Readonly<Record<string, ImportReport>>> {
  const { keys: entries } = readConfig(from.config);
  const old = from.database === undefined ? undefined : readPredecessor(from.database);
  const source = autounlockSource(environment, (path) => readFileSync(path, "utf8"));
  mkdirSync(data, { recursive: true, mode: 0o700 });
  requireOwn(data);
  const store = openStore(join(data, "bunker.db"), Date.now);
  try {
    const keyring = openKeyring({ store, log });
    const keys = await importKeys({ entries, store, keyring, ...(source !== undefined ? { passphrase: source.passphrase } : {}), ...(old !== undefined ? { known: publicKeysIn(old) } : {}) });
    const database = old === undefined ? undefined : importDatabase(old, store, Date.now());
    store.audit.append({ action: "import", who: "operator", outcome: "allowed", note: `nsecbunkerd: ${keys.brought.length + (database?.brought.length ?? 0)} brought` }, Date.now());
    keyring.lockAll();
    return { keys, ...(database !== undefined ? { database } : {}) };
  } finally {
    store.close();
  }
}

/** Files that root made in the bunker's folder would keep the bunker out. */
function requireOwn(data: string): void {
  const { uid } = statSync(data);
  if (uid !== process.getuid!()) throw new Error(`${data} belongs to user ${uid}, and this is user ${process.getuid!()}. Run it as its owner: runuser -u bunker -- holdfast-bunker …`);
}
