import { randomBytes } from "node:crypto";
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { execa } from "execa";
import { identityIn, newIdentity, openText, sealText } from "../custody/seal.js";
import { memoryFile, type Places } from "./places.js";
import { isAlive } from "./staleLock.js";

const path = (places: Places, name: string): string => join(places.state, name);

/**
 * The keys of a rehearsal environment, made once: three age identities, an SSH key, and the stack's passphrase, sealed for the environment's identity.
 * They guard worthless coins alone, which is why all of them may lie in one folder.
 */
export async function ensureRehearsalKeys(places: Places): Promise<void> {
  const recipients: Record<string, string> = {};
  for (const role of ["environment", "recovery", "wallet"]) recipients[role] = await ensureIdentity(path(places, `${role}.age-key`));
  writeFileSync(path(places, "recipients.json"), JSON.stringify(recipients, undefined, 2), { mode: 0o644 });

  const sshKey = path(places, "ssh_ed25519");
  if (!existsSync(sshKey)) await execa("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", `holdfast-${places.environment}`, "-f", sshKey], { timeout: 10_000 });
  writeFileSync(path(places, "authorized-keys.json"), JSON.stringify([readFileSync(`${sshKey}.pub`, "utf8").trim()]), { mode: 0o644 });

  const sealed = path(places, "passphrase.age");
  if (!existsSync(sealed)) {
    forgetEncryptionSalt(places);
    writeFileSync(sealed, await sealText(randomBytes(32).toString("base64url"), recipients["environment"]!), { mode: 0o600 });
  }
  const storePassword = path(places, "store-password");
  if (!existsSync(storePassword)) writeFileSync(storePassword, randomBytes(24).toString("base64url"), { mode: 0o600 });
}

/** The public half of the rehearsal's SSH key. */
export const sshPublicKey = (places: Places): string => readFileSync(path(places, "ssh_ed25519.pub"), "utf8").trim();

/** For how long an unlocked passphrase stays: until this command ends, or until the machine restarts or the environment is destroyed, for the user's own `pulumi`. */
export type Unlocked = "command" | "shell";

/**
 * Opens the stack's passphrase.
 *
 * @returns the file for PULUMI_CONFIG_PASSPHRASE_FILE, in memory and this user's alone; undefined when the environment has no sealed passphrase
 */
export async function unlockPassphrase(places: Places, until: Unlocked): Promise<string | undefined> {
  const sealed = path(places, "passphrase.age");
  if (!existsSync(sealed)) return undefined;
  const key = path(places, "environment.age-key");
  const passphrase = await openText(readFileSync(sealed, "utf8"), identityIn(readFileSync(key, "utf8"), key));
  const file = passphraseFile(places, until);
  writeFileSync(file, passphrase, { mode: 0o600 });
  forgetDead(dirname(file));
  if (until === "command") process.once("exit", () => rmSync(file, { force: true }));
  return file;
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

async function ensureIdentity(file: string): Promise<string> {
  if (!existsSync(file)) {
    const { identity, recipient } = await newIdentity();
    writeFileSync(file, `# public key: ${recipient}\n${identity}\n`, { mode: 0o600 });
  }
  const recipient = /^# public key: (age1\S+)$/m.exec(readFileSync(file, "utf8"))?.[1];
  if (recipient === undefined) throw new Error(`${file} names no recipient (a line "# public key: age1…"). Put it back, or delete the folder ${file.replace(/\/[^/]+$/, "")} to begin anew.`);
  return recipient;
}

/** A new passphrase does not open what an old one locked: the stack file's salt belonged to that one. */
function forgetEncryptionSalt(places: Places): void {
  const file = join(places.project, `Pulumi.${places.environment}.yaml`);
  const text = readFileSync(file, "utf8");
  const without = text.replace(/^encryptionsalt:.*\n?/m, "");
  if (without !== text) writeFileSync(file, without);
}
