import { existsSync, linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { armor, Decrypter, Encrypter, identityToRecipient } from "age-encryption";
import { openByProgram } from "./ageProgram.js";
import { identityIn, openText } from "./seal.js";

/**
 * How an identity rests in its file: `clear` (whoever reads the file has it), `passphrase` (an age file sealed for a passphrase, as `age --passphrase` makes), or
 * `plugin` (the file names a token, and the token has the key).
 */
export type IdentityForm = "clear" | "passphrase" | "plugin";

/** Asks the operator for the passphrase of an identity file; gives it without a line's end. */
export type AskPassphrase = (question: string) => Promise<string>;

/** Which form the identity in a file has. Opens nothing. */
export const formOf = (file: string): IdentityForm => formIn(contentOf(file), file);

/** Opens a sealed text with an identity file of any form. */
export async function openWith(file: string, sealed: string, ask: AskPassphrase): Promise<string> {
  return (await openerOf(file, ask))(sealed);
}

/**
 * Makes an identity file ready to open several things: a passphrase is asked for once.
 *
 * @throws when the file holds no identity, or the passphrase is another
 */
export async function openerOf(file: string, ask: AskPassphrase): Promise<(sealed: string) => Promise<string>> {
  if (formOf(file) === "plugin") return (sealed) => openByProgram(sealed, file);
  const identity = await identityOf(file, ask);
  return (sealed) => openText(sealed, identity);
}

/**
 * The identity itself, in clear.
 *
 * @throws for a plugin's: the token keeps it
 */
export async function identityOf(file: string, ask: AskPassphrase): Promise<string> {
  const content = contentOf(file);
  const form = formIn(content, file);
  if (form === "clear") return identityIn(content.toString(), file);
  if (form === "plugin") throw new Error(`${file} names an age plugin's token, which never gives its key away. Use an identity that lies in a file.`);
  const decrypter = new Decrypter();
  decrypter.addPassphrase(await ask(`Passphrase of ${file}`));
  const binary = isArmoured(content) ? armor.decode(content.toString()) : new Uint8Array(content);
  const text = await decrypter.decrypt(binary, "text").catch(() => {
    throw new Error(`${file} was not opened: the passphrase is another, or the file was damaged. Try again.`);
  });
  return identityIn(text, file);
}

/**
 * The recipient that belongs to an identity file: from the line that says it, from the `.pub` file beside it, or from the identity itself.
 * Asks for a passphrase only when neither says it.
 */
export async function recipientOf(file: string, ask: AskPassphrase): Promise<string> {
  const content = contentOf(file);
  const form = formIn(content, file);
  const stated = form === "passphrase" ? undefined : /^# *(?:[Pp]ublic key|[Rr]ecipient): *(age1[0-9a-z]+)\s*$/m.exec(content.toString())?.[1];
  if (form === "clear") {
    const recipient = await identityToRecipient(identityIn(content.toString(), file));
    if (stated !== undefined && stated !== recipient) throw new Error(`${file} says that it belongs to ${stated}, and its identity is that of ${recipient}. Put the right file back.`);
    return recipient;
  }
  if (stated !== undefined) return stated;
  if (existsSync(`${file}.pub`)) return readFileSync(`${file}.pub`, "utf8").trim();
  if (form === "passphrase") return identityToRecipient(await identityOf(file, ask));
  throw new Error(`${file} names a plugin's identity without its recipient. Write the recipient (age1…) into ${file}.pub.`);
}

/** How a new identity is kept: in clear, or behind a passphrase. */
export type Keeping = { readonly form: "clear" } | { readonly form: "passphrase"; readonly passphrase: string };

/**
 * Writes an identity to a file that is this user's alone, with its recipient in a `.pub` file beside it. Whole or not at all: a crash leaves no half of it.
 *
 * @throws when the file is there: an identity is never overwritten
 */
export async function writeIdentity(file: string, made: { readonly identity: string; readonly recipient: string }, keeping: Keeping): Promise<void> {
  const text = `# public key: ${made.recipient}\n${made.identity}\n`;
  const content = keeping.form === "clear" ? text : await sealForPassphrase(text, keeping.passphrase);
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  if (existsSync(file)) throw new Error(`${file} is there already. An identity is never overwritten; move it away if it is truly unused.`);
  writeFileSync(`${file}.pub`, `${made.recipient}\n`, { mode: 0o644, flush: true });
  const draft = `${file}.${process.pid}.part`;
  rmSync(draft, { force: true });
  writeFileSync(draft, content, { mode: 0o600, flag: "wx", flush: true });
  linkSync(draft, file);
  rmSync(draft);
}

/** @see https://age-encryption.org/v1, "scrypt": the work factor is age's own, 2^18 */
async function sealForPassphrase(text: string, passphrase: string): Promise<string> {
  const encrypter = new Encrypter();
  encrypter.setPassphrase(passphrase);
  return armor.encode(await encrypter.encrypt(text));
}

function contentOf(file: string): Buffer {
  if (!existsSync(file)) throw new Error(`There is no identity file ${file}. Name another with --identity, or bring it back from where it is kept.`);
  return readFileSync(file);
}

const isArmoured = (content: Buffer): boolean => content.toString("latin1").trimStart().startsWith("-----BEGIN AGE ENCRYPTED FILE-----");

function formIn(content: Buffer, file: string): IdentityForm {
  if (isArmoured(content) || content.subarray(0, 22).toString("latin1") === "age-encryption.org/v1\n") return "passphrase";
  const lines = content.toString().split("\n");
  if (lines.some((line) => line.startsWith("AGE-PLUGIN-"))) return "plugin";
  if (lines.some((line) => line.startsWith("AGE-SECRET-KEY-"))) return "clear";
  throw new Error(`${file} holds no age identity: wants a line that begins with AGE-SECRET-KEY- or AGE-PLUGIN-, or an age file made with a passphrase.`);
}
