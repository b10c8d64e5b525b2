import { armor } from "age-encryption";
import { shareSchema, type Kit, type Share } from "../../formats/share.js";
import { FormatError, parseFormat } from "../../formats/versioned.js";

/** Something that may open a sealed share. */
export interface Opener {
  /** In words, for messages. */
  readonly name: string;
  readonly open: (sealed: string) => Promise<string>;
}

const BEGIN = "-----BEGIN AGE ENCRYPTED FILE-----";
const END = "-----END AGE ENCRYPTED FILE-----";
const BINARY = "age-encryption.org/v1\n";

/**
 * The age text in what a trustee sent or typed: without the words around it, and without what mail programs do to lines.
 *
 * @returns undefined when there is none
 */
export function sealedTextIn(content: Uint8Array): string | undefined {
  const text = Buffer.from(content).toString("utf8");
  if (text.startsWith(BINARY)) return armor.encode(new Uint8Array(content));
  const begin = text.indexOf(BEGIN);
  if (begin < 0) return undefined;
  const end = text.indexOf(END, begin);
  return armoured(text.slice(begin + BEGIN.length, end < 0 ? text.length : end).replaceAll(/[>\s]/g, ""));
}

/** @see https://age-encryption.org/v1, "ASCII armor": 64 characters a line */
const armoured = (base64: string): string => [BEGIN, ...(base64.match(/.{1,64}/g) ?? []), END, ""].join("\n");

/**
 * The share in a file: sealed for one of those who may open it, or in clear.
 *
 * @param file its name, for messages
 * @param openers tried in their order
 * @throws when it holds no share, or nobody here opens it
 */
export async function shareIn(file: string, content: Uint8Array, openers: readonly Opener[], kit?: Kit): Promise<Share> {
  const sealed = sealedTextIn(content);
  if (sealed === undefined) return parsed(file, Buffer.from(content).toString("utf8"));
  const failures: string[] = [];
  for (const { name, open } of openers) {
    try {
      return parsed(file, await open(sealed));
    } catch (error) {
      if (error instanceof FormatError) throw error;
      failures.push(`${name}: ${(error as Error).message}`);
    }
  }
  const trustee = kit?.trustees.find((one) => sealedTextIn(Buffer.from(one.sealed)) === sealed);
  if (trustee !== undefined) throw new Error(`${file} is the share of ${trustee.name} as it lies in the kit: ${trustee.name} alone opens it. Ask ${trustee.name} to seal it for you (holdfast escrow request says how), or give their identity with --identity.`);
  if (openers.length === 0) throw new Error(`${file} is sealed, and nothing here opens it. Give an identity with --identity FILE; one-time identities come from \`holdfast escrow request\`.`);
  throw new Error(`${file} is not opened by ${openers.map(({ name }) => name).join(", nor by ")}: it was sealed for another recipient, or was damaged on its way (${failures.join("; ")}). Ask for it again, sealed for the recipient that \`holdfast escrow request\` prints.`);
}

function parsed(file: string, text: string): Share {
  return parseFormat(shareSchema, `${file}, as a share`, text.trim());
}
