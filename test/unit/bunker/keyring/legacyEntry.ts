import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";

/** What nsecbunkerd writes, made by openssl: AES-256-CBC under the SHA-256 of the passphrase. */
export function legacyEntry(text: string, passphrase: string, iv = "000102030405060708090a0b0c0d0e0f"): { iv: string; data: string } {
  const key = createHash("sha256").update(passphrase).digest("hex");
  return { iv, data: execFileSync("openssl", ["enc", "-aes-256-cbc", "-K", key, "-iv", iv], { input: text }).toString("hex") };
}
