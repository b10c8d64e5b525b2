import { armor } from "age-encryption";

const SEALED = "-----BEGIN AGE ENCRYPTED FILE-----";
const BINARY = "age-encryption.org/v1\n";

/**
 * The wallet's identity file as it may lie elsewhere: one behind a passphrase is itself an age file, one of a plugin names a device without which it is nothing. One in clear never leaves its place.
 *
 * @returns the file's text (armoured when it was binary), or undefined when it must not be exported
 */
export function exportableIdentity(content: Uint8Array): string | undefined {
  const text = Buffer.from(content).toString("utf8");
  if (text.startsWith(BINARY)) return armor.encode(content);
  if (/AGE-SECRET-KEY-/i.test(text)) return undefined;
  if (text.trimStart().startsWith(SEALED)) return text;
  return /^AGE-PLUGIN-[A-Z0-9]/m.test(text) ? text : undefined;
}
