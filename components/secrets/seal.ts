import { armor, Decrypter, Encrypter, generateIdentity, identityToRecipient } from "age-encryption";

/** Seals a text for one age recipient, as armoured text. @see https://age-encryption.org/v1 */
export async function sealText(plaintext: string, recipient: string): Promise<string> {
  const encrypter = new Encrypter();
  encrypter.addRecipient(recipient);
  return armor.encode(await encrypter.encrypt(plaintext));
}

/** @throws when none of the identities is a recipient, or the text was changed */
export async function openText(sealed: string, identity: string): Promise<string> {
  const decrypter = new Decrypter();
  decrypter.addIdentity(identity);
  return decrypter.decrypt(armor.decode(sealed), "text");
}

/** A new age identity with its recipient. Classical X25519. */
export async function newIdentity(): Promise<{ readonly identity: string; readonly recipient: string }> {
  const identity = await generateIdentity();
  return { identity, recipient: await identityToRecipient(identity) };
}

/** The identity in the text of an identity file as `age-keygen` writes it: comments and one key. */
export function identityIn(text: string, path: string): string {
  const identity = text.split("\n").find((line) => line.startsWith("AGE-SECRET-KEY-"));
  if (identity === undefined) throw new Error(`${path} holds no age identity (a line that begins with AGE-SECRET-KEY-).`);
  return identity.trim();
}
