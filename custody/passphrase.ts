import { randomBytes } from "node:crypto";
import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { passphraseFingerprint } from "./fingerprint.js";
import { readMarks, recordFiles, writeMarks } from "./records.js";
import { sealText } from "./seal.js";

/** Where an environment's sealed passphrase lies. */
export const sealedPassphrase = (records: string): string => join(records, recordFiles.passphrase);

/** Who can open an environment's passphrase, each alone. */
export interface PassphraseRecipients {
  readonly environment: string;
  readonly recovery: string;
}

/**
 * Makes an environment's passphrase, 256 random bits, and leaves it sealed in its records with its fingerprint. The fingerprint is written first: one without a passphrase belongs to a making that was cut short.
 *
 * @returns the passphrase
 */
export async function makePassphrase(records: string, recipients: PassphraseRecipients, now: Date): Promise<string> {
  const passphrase = randomBytes(32).toString("base64url");
  const sealed = await sealText(passphrase, recipients.environment, recipients.recovery);
  const marks = readMarks(records);
  writeMarks(records, { ...marks, passphrase: passphraseFingerprint(passphrase), made: { ...marks.made, passphrase: now.toISOString() } });
  write(sealedPassphrase(records), sealed);
  return passphrase;
}

/** Seals a passphrase that exists for others than until now. Whole or not at all. */
export async function resealPassphrase(records: string, passphrase: string, recipients: PassphraseRecipients): Promise<void> {
  write(sealedPassphrase(records), await sealText(passphrase, recipients.environment, recipients.recovery));
}

function write(path: string, sealed: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(`${path}.${process.pid}.part`, sealed.endsWith("\n") ? sealed : `${sealed}\n`, { mode: 0o644, flush: true });
  renameSync(`${path}.${process.pid}.part`, path);
}
