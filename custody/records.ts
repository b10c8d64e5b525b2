import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { z } from "zod";
import { marksSchema, noMarks, noVersions, versionsSchema, type Marks, type Versions } from "../formats/records.js";
import { parseFormat } from "../formats/versioned.js";

/** What lies in an environment's folder of records, which is kept under version control: nothing in it is secret in clear. */
export const recordFiles = {
  /** The stack's passphrase, sealed for the environment and recovery recipients. */
  passphrase: "passphrase.age",
  marks: "marks.json",
  versions: "versions.json",
  audit: "audit.jsonl",
  /** The machine-readable recovery kit, and the trustees' pages beside it. */
  escrow: "escrow",
} as const;

export const readVersions = (records: string): Versions => read(join(records, recordFiles.versions), versionsSchema, noVersions);
export const readMarks = (records: string): Marks => read(join(records, recordFiles.marks), marksSchema, noMarks);
export const writeVersions = (records: string, versions: Versions): void => writeRecord(join(records, recordFiles.versions), versions);
export const writeMarks = (records: string, marks: Marks): void => writeRecord(join(records, recordFiles.marks), marks);

function read<T>(path: string, schema: z.ZodType<T>, nothing: T): T {
  return existsSync(path) ? parseFormat(schema, path, readFileSync(path, "utf8")) : nothing;
}

/** Writes a record so that a crash leaves the old one or the new one. */
export function writeRecord(path: string, value: unknown): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(`${path}.${process.pid}`, `${JSON.stringify(value, undefined, 2)}\n`, { mode: 0o644 });
  renameSync(`${path}.${process.pid}`, path);
}
