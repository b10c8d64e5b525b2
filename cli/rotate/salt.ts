import { createDecipheriv, pbkdf2Sync } from "node:crypto";

const [ITERATIONS, KEY_BYTES, TAG_BYTES] = [1_000_000, 32, 16];

/**
 * Whether a passphrase belongs to the salt that Pulumi keeps in a state and in a stack file: the salt carries the word "pulumi", encrypted.
 *
 * @param salt `v1:<salt>:v1:<nonce>:<ciphertext and tag>`, each part in base64
 * @see pulumi pkg/secrets/passphrase/manager.go; sdk/go/common/resource/config/crypt.go (PBKDF2-SHA256, AES-256-GCM)
 */
export function opensSalt(salt: string, passphrase: string): boolean {
  const [version, own, inner, nonce, sealed] = salt.split(":");
  if (version !== "v1" || inner !== "v1" || own === undefined || nonce === undefined || sealed === undefined) {
    throw new Error("The state's encryption salt has a form that this version of holdfast does not know. Look for a newer one.");
  }
  const bytes = Buffer.from(sealed, "base64");
  const key = pbkdf2Sync(passphrase, Buffer.from(own, "base64"), ITERATIONS, KEY_BYTES, "sha256");
  const decipher = createDecipheriv("aes-256-gcm", key, Buffer.from(nonce, "base64"), { authTagLength: TAG_BYTES });
  decipher.setAuthTag(bytes.subarray(-TAG_BYTES));
  try {
    return Buffer.concat([decipher.update(bytes.subarray(0, -TAG_BYTES)), decipher.final()]).toString() === "pulumi";
  } catch (error) {
    if ((error as Error).message.includes("unable to authenticate data")) return false;
    throw error;
  }
}
