import { randomBytes } from "node:crypto";
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { execa } from "execa";
import { passphraseFindings } from "../config/environments.js";
import { passphraseInForce } from "../config/passphrase.js";
import { marksOfStack, otherEnvironments } from "../config/project.js";
import { ConfigurationRefused } from "../config/refusal.js";
import { recorded } from "../custody/audit/log.js";
import { readKit } from "../custody/escrow/kit.js";
import { passphraseFingerprint } from "../custody/fingerprint.js";
import { openWith, recipientOf, writeIdentity, type AskPassphrase } from "../custody/identityFile.js";
import { makePassphrase, resealPassphrase, sealedPassphrase } from "../custody/passphrase.js";
import { readMarks, writeMarks } from "../custody/records.js";
import { newIdentity } from "../custody/seal.js";
import { auditLog, identityPath, memoryFile, recordsFolder, stackFile, type Places } from "./places.js";
import { askPassphrase } from "./passphrase.js";
import { roles, type Role } from "./stackFile.js";
import { isAlive } from "./staleLock.js";

const path = (places: Places, name: string): string => join(places.state, name);
const inClear: AskPassphrase = () => Promise.reject(new Error("A rehearsal's identities are in clear: nothing is asked for."));

/**
 * The keys of a rehearsal environment, made once: three age identities, an SSH key, and the stack's passphrase, sealed for environment and recovery.
 * They guard worthless coins alone, which is why all of them may lie in one folder.
 */
export async function ensureRehearsalKeys(places: Places): Promise<void> {
  const records = recordsFolder(places);
  const recipients = { environment: "", recovery: "", wallet: "" };
  for (const role of roles) recipients[role] = keptElsewhere(places, records, role) ?? await ensureIdentity(identityPath(places, role));
  writeFileSync(path(places, "recipients.json"), JSON.stringify(recipients, undefined, 2), { mode: 0o644 });

  const sshKey = path(places, "ssh_ed25519");
  if (!existsSync(sshKey)) await execa("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", `holdfast-${places.environment}`, "-f", sshKey], { timeout: 10_000 });
  // A rotation in progress has two keys in it.
  const authorized = path(places, "authorized-keys.json");
  if (!existsSync(authorized)) writeFileSync(authorized, JSON.stringify([readFileSync(`${sshKey}.pub`, "utf8").trim()]), { mode: 0o644 });

  if (!existsSync(sealedPassphrase(records))) {
    forgetEncryptionSalt(places);
    await makePassphrase(records, recipients, new Date());
  } else if (readMarks(records).passphrase === undefined) {
    // Made before passphrases had marks, when they were sealed for the environment alone.
    const passphrase = await openPassphrase(places, { ask: inClear });
    await resealPassphrase(records, passphrase, recipients);
    noteFingerprint(records, passphrase);
  }
  noteAges(records, { ...Object.fromEntries(roles.map((role) => [role, identityPath(places, role)] as const).filter(([, file]) => existsSync(file))), ssh: sshKey });

  const storePassword = path(places, "store-password");
  if (!existsSync(storePassword)) writeFileSync(storePassword, randomBytes(24).toString("base64url"), { mode: 0o600 });
}

/** The public half of the rehearsal's SSH key. */
export const sshPublicKey = (places: Places): string => readFileSync(path(places, "ssh_ed25519.pub"), "utf8").trim();

/** For how long an unlocked passphrase stays: until this command ends, or until the machine restarts, it is locked or the environment is destroyed, for the user's own `pulumi`. */
export type Unlocked = "command" | "shell";

/** How the environment's identity is opened. */
export interface Opening {
  /** The identity file, when it is not in the environment's folder. */
  readonly identityFile?: string;
  readonly ask: AskPassphrase;
}

/**
 * Opens the stack's passphrase, unless this shell has the right one already.
 *
 * @returns the file for PULUMI_CONFIG_PASSPHRASE_FILE, in memory and this user's alone; undefined when the environment has no sealed passphrase, or the shell's own is in force
 * @throws when what was opened is not this environment's
 */
export async function unlockPassphrase(places: Places, until: Unlocked, opening?: Opening): Promise<string | undefined> {
  const records = recordsFolder(places);
  if (!existsSync(sealedPassphrase(records))) return undefined;
  const mark = readMarks(records).passphrase;
  const kept = passphraseFile(places, "shell");
  if (until === "command" && mark !== undefined) {
    if (passphraseInForce(process.env) === mark) return undefined;
    if (existsSync(kept) && passphraseFingerprint(readFileSync(kept, "utf8")) === mark) return kept;
  }
  const remedy = `Unlock the environment for this shell first: eval "$(holdfast env unlock ${places.environment} --passphrase-file PATH)"`;
  const passphrase = await openPassphrase(places, opening ?? { ask: askPassphrase(undefined, remedy) });
  if (mark === undefined) noteFingerprint(records, passphrase);
  requireOwn(places, passphrase);
  const file = passphraseFile(places, until);
  rmSync(file, { force: true });
  writeFileSync(file, passphrase, { mode: 0o600, flag: "wx" });
  forgetDead(dirname(file));
  if (until === "command") process.once("exit", () => rmSync(file, { force: true }));
  return file;
}

/** Opens passphrase.age, which leaves lines in the audit log. */
async function openPassphrase(places: Places, { identityFile = identityPath(places, "environment"), ask }: Opening): Promise<string> {
  const file = sealedPassphrase(recordsFolder(places));
  const open = (): Promise<string> => openWith(identityFile, readFileSync(file, "utf8"), ask).catch((error: Error) => {
    throw new Error(`${file} was not opened with ${identityFile}: ${error.message}`, { cause: error });
  });
  return (await recorded(auditLog(places), { action: "environment-unlocked", subject: places.environment }, open)).trim();
}

function requireOwn(places: Places, passphrase: string): void {
  const { project, environment } = places;
  const findings = passphraseFindings(marksOfStack(project, environment), otherEnvironments(project, environment), passphraseFingerprint(passphrase));
  if (findings.length > 0) throw new ConfigurationRefused(findings);
}

function noteFingerprint(records: string, passphrase: string): void {
  writeMarks(records, { ...readMarks(records), passphrase: passphraseFingerprint(passphrase) });
}

/** Notes when key files were made, where that is not known yet. */
export function noteAges(records: string, files: Readonly<Record<string, string>>): void {
  const marks = readMarks(records);
  const ages = Object.entries(files).filter(([key]) => marks.made[key] === undefined).map(([key, file]) => [key, statSync(file).mtime.toISOString()] as const);
  if (ages.length > 0) writeMarks(records, { ...marks, made: { ...marks.made, ...Object.fromEntries(ages) } });
}

/** Removes what commands left that were killed: files that name a process which is gone. */
function forgetDead(folder: string): void {
  for (const name of readdirSync(folder)) {
    const pid = /\.(\d+)\.passphrase$/.exec(name)?.[1];
    if (pid !== undefined && !isAlive(Number(pid))) rmSync(join(folder, name), { force: true });
  }
}

/** Forgets what `env unlock` left in memory. */
export const lockPassphrase = (places: Places): void => rmSync(passphraseFile(places, "shell"), { force: true });

const passphraseFile = (places: Places, until: Unlocked): string => memoryFile(places, until === "shell" ? "passphrase" : `${process.pid}.passphrase`);

/** The recipient of an identity that this machine has not, and others have: the recovery identity's trustees, or whoever restored the stack. */
function keptElsewhere(places: Places, records: string, role: Role): string | undefined {
  if (role === "environment" || existsSync(identityPath(places, role))) return undefined;
  const file = path(places, "recipients.json");
  const stated = existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as Partial<Record<Role, string>>)[role] : undefined;
  return (role === "recovery" ? readKit(records)?.recipient : undefined) ?? stated;
}

async function ensureIdentity(file: string): Promise<string> {
  if (!existsSync(file)) await writeIdentity(file, await newIdentity(), { form: "clear" });
  return recipientOf(file, inClear);
}

/** A new passphrase does not open what an old one locked: the stack file's salt belonged to that one. */
function forgetEncryptionSalt(places: Places): void {
  const file = stackFile(places);
  const text = readFileSync(file, "utf8");
  const without = text.replace(/^encryptionsalt:.*\n?/m, "");
  if (without !== text) writeFileSync(file, without);
}
