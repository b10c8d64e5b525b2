import { Decrypter } from "age-encryption";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { link, mkdtemp, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { isAgeIdentity } from "../../formats/ageIdentity.js";
import { bunkerBackupSchema, type BunkerBackup } from "../../formats/bunkerBackup.js";
import { parseFormat } from "../../formats/versioned.js";
import { emptyHead, type AuditHead } from "../store/chain.js";
import { claimStore, openStore } from "../store/open.js";
import type { Store } from "../store/store.js";
import { describe, syncFolder, writeSynced } from "./make.js";

/** What was put in place. */
export interface Restored extends Pick<BunkerBackup, "created" | "keys" | "counts" | "auditHead"> {
  readonly database: string;
  /** Where the store that was here before lies now. */
  readonly before?: string;
}

/** What a restore may replace: nothing that holds anything; a store from which the backup was made later; any, which is the operator's word that what it knows more or else may be lost. */
export type Over = "nothing" | "older" | "any";

export interface RestoreOptions {
  readonly over?: Over;
  readonly now?: () => number;
}

/**
 * Opens a backup without placing it.
 *
 * @param identity of age: `AGE-SECRET-KEY-…`, or an identity file's text
 * @throws when it is for another identity, damaged, or not whole
 */
export async function openBackup(backup: Uint8Array, identity: string): Promise<{ readonly header: BunkerBackup; readonly database: Uint8Array }> {
  const plaintext = await decrypt(backup, identitiesIn(identity));
  const end = plaintext.indexOf(0x0a);
  const header = parseFormat(bunkerBackupSchema, "the bunker's backup", Buffer.from(plaintext.subarray(0, end === -1 ? 0 : end)).toString());
  const database = plaintext.subarray(end + 1);
  const { bytes, sha256 } = header.database;
  if (database.length !== bytes || createHash("sha256").update(database).digest("hex") !== sha256)
    throw new Error(`The backup of ${header.created} is not whole: its database is not the one that its first line names. Take another backup.`);
  return { header, database };
}

/** @see age-keygen(1): comments and empty lines stand between identities */
function identitiesIn(text: string): string[] {
  const lines = text.split("\n").map((line) => line.trim()).filter((line) => line !== "" && !line.startsWith("#"));
  if (lines.length === 0 || !lines.every(isAgeIdentity)) throw new Error("This is no age identity: it wants AGE-SECRET-KEY-….");
  return lines;
}

async function decrypt(backup: Uint8Array, identities: readonly string[]): Promise<Uint8Array> {
  const decrypter = new Decrypter();
  for (const identity of identities) decrypter.addIdentity(identity);
  try {
    return await decrypter.decrypt(backup, "uint8array");
  } catch (error) {
    throw new Error(`The backup cannot be opened: it is for another identity, or damaged (${(error as Error).message}).`, { cause: error });
  }
}

/**
 * Puts a backup in place as a data folder's database: whole, after its counts and its audit chain were verified, or not at all. The bunker must not run.
 *
 * A restored bunker knows what it knew when the backup was made: clients that were revoked since are clients again, and caps count from then.
 *
 * @throws when the backup is not what it says, or when there is something in the folder that may not be replaced
 */
export async function restoreBackup(backup: Uint8Array, identity: string, dataFolder: string, { over = "nothing", now = Date.now }: RestoreOptions = {}): Promise<Restored> {
  const { header, database } = await openBackup(backup, identity);
  const folder = await mkdtemp(join(dataFolder, ".restoring-"));
  try {
    const beside = join(folder, "bunker.db");
    await writeSynced(beside, database);
    verify(beside, header, now);
    const { created, keys, counts, auditHead } = header;
    const path = join(dataFolder, "bunker.db");
    const before = await place(beside, path, over, now);
    await syncFolder(dataFolder);
    return { created, keys, counts, auditHead, database: path, ...(before !== undefined && { before }) };
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** Holds a restored database against what the backup says of it, and writes into its audit that it was restored. */
function verify(path: string, header: BunkerBackup, now: () => number): void {
  const store = openStore(path, now);
  try {
    const found = describe(store);
    const said = { keys: header.keys, counts: header.counts, auditHead: header.auditHead };
    const differs = (Object.keys(said) as (keyof typeof said)[]).find((part) => JSON.stringify(found[part]) !== JSON.stringify(said[part]));
    if (differs !== undefined) throw new Error(`The backup of ${header.created} does not hold what it says under ${differs}. Take another backup.`);
    const { fault } = store.audit.verify();
    if (fault !== undefined) throw new Error(`The audit in the backup of ${header.created} is broken: ${fault} Take another backup.`);
    store.audit.append({ action: "restore", who: "operator", outcome: "allowed", note: `from the backup of ${header.created}, which ends with line ${header.auditHead.sequence}` }, now());
  } finally {
    store.close();
  }
}

/** Whether a line is in the audit of the database at a path. */
function knows(path: string, { sequence, hash }: AuditHead, now: () => number): boolean {
  const store = openStore(path, now);
  try {
    return sequence === emptyHead.sequence || store.audit.hashAt(sequence) === hash;
  } finally {
    store.close();
  }
}

async function place(from: string, path: string, over: Over, now: () => number): Promise<string | undefined> {
  if (!existsSync(path)) {
    const left = ["-wal", "-journal"].map((end) => `${path}${end}`).find(existsSync);
    if (left !== undefined) throw new Error(`${left} is there without its database: it would be taken for a part of the restored one. Move it away, then restore again.`);
    // Unlike a rename, this never goes over one that came meanwhile.
    await link(from, path);
    return undefined;
  }
  const { store, gather } = claimStore(path, now);
  try {
    const isEmpty = holdsNothing(store);
    if (!isEmpty) requireReplaceable(store, path, over, (head) => knows(from, head, now));
    gather();
    const before = isEmpty ? undefined : `${path}.before-${new Date(now()).toISOString().replaceAll(":", "")}`;
    if (before !== undefined) await link(path, before);
    await rename(from, path);
    return before;
  } finally {
    store.close();
  }
}

function holdsNothing(store: Store): boolean {
  const { keys, policies, tokens, clients, auditLines } = store.counts();
  return keys + policies + tokens + clients + auditLines === 0;
}

function requireReplaceable(store: Store, path: string, over: Over, knows: (head: AuditHead) => boolean): void {
  const { keys, clients, auditLines } = store.counts();
  const holds = `${path} holds ${keys} keys, ${clients} clients and ${auditLines} lines of audit`;
  if (over === "nothing") throw new Error(`${holds}, and a restore replaces none of that unasked. Nothing was changed. Name an empty data folder, or say that an older store may be replaced.`);
  if (over === "older" && !knows(store.audit.head()))
    throw new Error(`${holds}, and its last line is not in the backup: what is here is newer than the backup, or another bunker's. Nothing was changed. Say that any store may be replaced if it shall be.`);
}
