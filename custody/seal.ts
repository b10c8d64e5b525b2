import { armor, Decrypter, Encrypter, generateHybridIdentity, generateX25519Identity, identityToRecipient } from "age-encryption";
import { isAgeIdentity } from "../formats/ageIdentity.js";
import { sealByProgram } from "./ageProgram.js";
import { isPlugin, requireOneKind, type RecipientKind } from "./recipients.js";

/**
 * Seals a text for age recipients, each of which can open it alone, as armoured text. Where one of them is a plugin's, the age program does it.
 *
 * @throws when post-quantum and classical recipients are mixed, or when there is none
 * @see https://age-encryption.org/v1
 */
export async function sealText(plaintext: string, ...recipients: readonly string[]): Promise<string> {
  if (recipients.length === 0) throw new Error("A thing must be sealed for somebody: no recipient was given.");
  requireOneKind(recipients);
  if (recipients.some(isPlugin)) return sealByProgram(plaintext, recipients);
  const encrypter = new Encrypter();
  for (const recipient of recipients) encrypter.addRecipient(recipient);
  return armor.encode(await encrypter.encrypt(plaintext));
}

/** @throws when none of the identities is a recipient, or the text was changed */
export async function openText(sealed: string, ...identities: readonly string[]): Promise<string> {
  const decrypter = new Decrypter();
  for (const identity of identities) decrypter.addIdentity(identity);
  return decrypter.decrypt(armor.decode(sealed), "text");
}

/** A new age identity with its recipient. */
export async function newIdentity(kind: RecipientKind = "classical"): Promise<{ readonly identity: string; readonly recipient: string }> {
  const identity = await (kind === "hybrid" ? generateHybridIdentity() : generateX25519Identity());
  return { identity, recipient: await identityToRecipient(identity) };
}

/** The identity in the text of an identity file as `age-keygen` writes it: comments and one key. */
export function identityIn(text: string, path: string): string {
  const identity = text.split("\n").find((line) => line.startsWith("AGE-SECRET-KEY-"));
  if (identity === undefined) throw new Error(`${path} holds no age identity (a line that begins with AGE-SECRET-KEY-).`);
  if (!isAgeIdentity(identity.trim())) throw new Error(`${path} holds an age identity that is damaged: its checksum does not fit. Bring the file back from where a copy of it is kept.`);
  return identity.trim();
}
