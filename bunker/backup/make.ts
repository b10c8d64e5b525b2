import { Encrypter } from "age-encryption";
import { createHash } from "node:crypto";
import { mkdtemp, open, readFile, rename, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { bunkerBackupSchema, type BunkerBackup } from "../../formats/bunkerBackup.js";
import { printFormat } from "../../formats/versioned.js";
import type { Time } from "../model.js";
import type { Store } from "../store/store.js";

/**
 * Everything that a bunker is: keys, encrypted as they rest, policies, tokens, clients, usage and audit, as an age file. The store stays in use.
 *
 * @param recipients of age: each of them alone opens it
 * @param workFolder where a copy of the database lies for a moment, for its owner alone
 * @throws when there is no recipient, or one that is none, or when the audit chain is broken: such a backup could not be restored
 */
export async function makeBackup(store: Store, recipients: readonly string[], now: Time, workFolder: string = tmpdir()): Promise<Uint8Array> {
  if (recipients.length === 0) throw new Error("A backup wants one age recipient at least: nobody could open it.");
  const encrypter = new Encrypter();
  for (const recipient of recipients) addRecipient(encrypter, recipient);
  const { fault } = store.audit.verify();
  if (fault !== undefined) throw new Error(`The bunker's audit is broken: ${fault} No backup was made: keep the ones you have, and find out what changed the database.`);
  const folder = await mkdtemp(join(workFolder, "bunker-backup-"));
  try {
    const said = describe(store);
    store.copyTo(join(folder, "bunker.db"));
    const database = await readFile(join(folder, "bunker.db"));
    const header: BunkerBackup = {
      format: "holdfast-bunker-backup/1", created: new Date(now).toISOString(), ...said,
      database: { bytes: database.length, sha256: createHash("sha256").update(database).digest("hex") },
    };
    return await encrypter.encrypt(Buffer.concat([Buffer.from(`${printFormat(bunkerBackupSchema, header)}\n`), database]));
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** What a backup and the store that it was made of must agree on. */
export const describe = (store: Store): Pick<BunkerBackup, "keys" | "counts" | "auditHead"> => ({
  keys: store.keys.all().map(({ name, publicKey }) => ({ name, ...(publicKey !== undefined && { publicKey }) })),
  counts: store.counts(),
  auditHead: store.audit.head(),
});

function addRecipient(encrypter: Encrypter, recipient: string): void {
  try {
    encrypter.addRecipient(recipient);
  } catch (error) {
    throw new Error(`${recipient} is no age recipient: ${(error as Error).message}.`, { cause: error });
  }
}

/** Writes a backup so that the path holds it whole or what it held before, on the disk when this returns. */
export async function writeBackup(path: string, backup: Uint8Array): Promise<void> {
  const beside = `${path}.${process.pid}.new`;
  try {
    await writeSynced(beside, backup);
    await rename(beside, path);
  } catch (error) {
    await rm(beside, { force: true });
    throw error;
  }
  await syncFolder(dirname(path));
}

/** A new file, for its owner alone, on the disk. @throws when there is one */
export async function writeSynced(path: string, content: Uint8Array): Promise<void> {
  const file = await open(path, "wx", 0o600);
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
}

export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
