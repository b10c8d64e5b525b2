import { chmodSync, closeSync, existsSync, fsyncSync, openSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { auditIn } from "./audit.js";
import { clientsIn } from "./clients.js";
import { importsIn } from "./imports.js";
import { keysIn } from "./keys.js";
import { policiesIn } from "./policies.js";
import { replaysIn } from "./replays.js";
import { migrations } from "./schema.js";
import type { Counts, Store } from "./store.js";
import { tokensIn } from "./tokens.js";
import { openTransactions } from "./transaction.js";
import { usageIn } from "./usage.js";

const BUSY_MS = 1000;
const SQLITE_BUSY = 5;

/**
 * Opens the bunker's database, makes it when there is none, and brings an older one up to date. Only its owner may read it.
 *
 * The lock on it is SQLite's own (a POSIX lock): it lasts as long as this process, whatever ends it. Nothing else in this process may open the file.
 *
 * @param path of the file, or `:memory:` for a test
 * @param now milliseconds since 1970
 * @throws when another process has it open, when it is a newer holdfast's or somebody else's, when its folder is not there
 */
export const openStore = (path: string, now: () => number): Store => claimStore(path, now).store;

/** A store whose file is about to be replaced: what is needed for that. */
export interface ClaimedStore {
  readonly store: Store;
  /** Puts everything into the one file and leaves none beside it. The lock stays. */
  gather(): void;
}

/** As openStore, for whoever replaces the file under its lock. */
export function claimStore(path: string, now: () => number): ClaimedStore {
  if (path !== ":memory:") makeFile(path);
  const database = new DatabaseSync(path, { timeout: BUSY_MS, enableForeignKeyConstraints: true });
  try {
    claim(database, path);
    migrate(database, path);
    return { store: storeOn(database, now), gather: () => { database.exec("PRAGMA journal_mode = DELETE"); } };
  } catch (error) {
    database.close();
    throw error;
  }
}

function makeFile(path: string): void {
  try {
    // One that is there is not opened: closing it would end the locks that this process has on it. @see fcntl(2), F_SETLK
    if (existsSync(path)) chmodSync(path, 0o600);
    else closeSync(openSync(path, "wx", 0o600));
  } catch (error) {
    throw new Error(`The bunker's database ${path} cannot be opened or made: ${(error as Error).message}. Its folder must be there and belong to the bunker.`, { cause: error });
  }
}

/** @see SQLite, PRAGMA locking_mode: set before the first access of a WAL database, the lock is kept until the connection ends */
function claim(database: DatabaseSync, path: string): void {
  try {
    database.exec("PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON; BEGIN EXCLUSIVE; COMMIT");
  } catch (error) {
    if ((error as { errcode?: number }).errcode === SQLITE_BUSY)
      throw new Error(`${path} is open in another process: one bunker at a time has a data folder. Stop that one, or ask it through its control socket.`, { cause: error });
    throw new Error(`${path} cannot be read as a database: ${(error as Error).message}. Restore it from a backup.`, { cause: error });
  }
}

function migrate(database: DatabaseSync, path: string): void {
  const { user_version: found } = database.prepare("PRAGMA user_version").get() as { user_version: number };
  if (found > migrations.length)
    throw new Error(`${path} has version ${found} of the bunker's database, and this bunker knows ${migrations.length} at most. Run the newer bunker that wrote it.`);
  if (found === 0 && database.prepare("SELECT 1 FROM sqlite_master LIMIT 1").get() !== undefined)
    throw new Error(`${path} is a database of something else than this bunker. Name another data folder; nsecbunkerd's database is imported, not used.`);
  for (const [done, step] of migrations.entries())
    if (done >= found) database.exec(`BEGIN IMMEDIATE; ${step}; PRAGMA user_version = ${done + 1}; COMMIT`);
}

function storeOn(database: DatabaseSync, now: () => number): Store {
  const transactions = openTransactions(database);
  const { atomically } = transactions;
  const keys = keysIn(database, transactions, now);
  const policies = policiesIn(database, transactions, now);
  const clients = clientsIn(database, now);
  const tokens = tokensIn(database, transactions, clients, now);
  const usage = usageIn(database);
  const audit = auditIn(database, transactions);
  const counts = database.prepare(`SELECT (SELECT count(*) FROM keys) AS keys, (SELECT count(*) FROM policies) AS policies, (SELECT count(*) FROM rules) AS rules,
    (SELECT count(*) FROM tokens) AS tokens, (SELECT count(*) FROM clients) AS clients, (SELECT count(*) FROM usage) AS usage, (SELECT count(*) FROM audit) AS auditLines`);
  let closed = false;

  return {
    keys, policies, audit, atomically,
    tokens: tokens.asked,
    clients: clients.asked,
    usage: usage.asked,
    replays: replaysIn(database),
    imports: importsIn(database, clients, tokens),
    counts: () => ({ ...counts.get() }) as unknown as Counts,
    record: (deed, time, use) => atomically(() => {
      if (use !== undefined) clients.used(use.clientId, time);
      if (use?.ruleId !== undefined) usage.add(use.ruleId, use.clientId, time);
      usage.prune(time);
      return audit.append(deed, time);
    }),
    copyTo: (path) => {
      if (transactions.isOpen()) throw new Error("The database cannot be copied in the middle of a change.");
      // SQLite would make it readable for everybody.
      const file = openSync(path, "wx", 0o600);
      try {
        database.prepare("VACUUM INTO ?").run(path);
        fsyncSync(file);
      } finally {
        closeSync(file);
      }
    },
    close: () => {
      if (!closed) database.close();
      closed = true;
    },
  };
}
