import { existsSync, readFileSync } from "node:fs";
import { passphraseFingerprint } from "../custody/fingerprint.js";

/**
 * The fingerprint of the passphrase that Pulumi was given, as Pulumi reads it.
 *
 * @see pulumi pkg/secrets/passphrase: PULUMI_CONFIG_PASSPHRASE comes first, and a file's content is trimmed
 */
export function passphraseInForce(environment: Readonly<Record<string, string | undefined>>): string | undefined {
  const { PULUMI_CONFIG_PASSPHRASE: given, PULUMI_CONFIG_PASSPHRASE_FILE: file } = environment;
  if (given !== undefined) return passphraseFingerprint(given);
  return file === undefined || file === "" || !existsSync(file) ? undefined : passphraseFingerprint(readFileSync(file, "utf8").trim());
}
