import { randomUUID } from "node:crypto";
import { readFile, rename, writeFile } from "node:fs/promises";
import { auditHeadSchema, type AuditHead } from "../../formats/audit.js";
import { parseFormat } from "../../formats/versioned.js";
import { emptyHead } from "./chain.js";

const headFile = (file: string): string => `${file}.head`;

/** Notes beside a log where it ends, in one go. */
export async function noteHead(file: string, { sequence, hash }: AuditHead): Promise<void> {
  const draft = `${file}.draft-${randomUUID()}`;
  await writeFile(draft, `${JSON.stringify({ sequence, hash })}\n`, { mode: 0o600, flush: true });
  await rename(draft, headFile(file));
}

/**
 * Where a log ended when its last line was written, as noted beside it.
 *
 * @throws when what is noted cannot be read
 */
export async function readHead(file: string): Promise<AuditHead> {
  let text: string;
  try {
    text = await readFile(headFile(file), "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return emptyHead;
    throw error;
  }
  try {
    return parseFormat(auditHeadSchema, headFile(file), text);
  } catch (error) {
    throw new Error(`${(error as Error).message} Bring it back from version control; without it, \`holdfast audit verify\` knows only the ends that are noted elsewhere.`, { cause: error });
  }
}
