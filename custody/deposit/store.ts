import { existsSync } from "node:fs";
import { mkdir, open, readdir, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";

/** Whose exports: of one node in one environment. */
export interface DepositOwner {
  readonly environment: string;
  /** The node's id. */
  readonly node: string;
}

/** Where sealed exports go, to outlive the machine that made them. A folder here; whatever restic can write to, later. */
export interface DepositStore {
  /** In words, for messages. */
  readonly where: string;
  /** Names of a node's exports, oldest first. */
  readonly list: (owner: DepositOwner) => Promise<string[]>;
  /**
   * Adds an export: whole or not at all, and kept by the time this returns.
   *
   * @throws when one of that name is there already, or when it cannot be written
   */
  readonly write: (owner: DepositOwner, name: string, sealed: string) => Promise<void>;
  readonly read: (owner: DepositOwner, name: string) => Promise<string>;
  readonly remove: (owner: DepositOwner, name: string) => Promise<void>;
}

const EXPORT = /^\d{8}T\d{6}\.\d{3}Z\.roots\.age$/;
const UNFINISHED = /\.roots\.age\.\d+\.new$/;

/** Exports in a folder: `<environment>/<node id>/<time>.roots.age`. */
export function folderStore(folder: string): DepositStore {
  const of = ({ environment, node }: DepositOwner): string => join(folder, environment, node);
  return {
    where: folder,
    list: async (owner) => (existsSync(of(owner)) ? (await readdir(of(owner))).filter((name) => EXPORT.test(name)).sort() : []),
    write: async (owner, name, sealed) => {
      const path = join(of(owner), name);
      await mkdir(of(owner), { recursive: true, mode: 0o700 });
      for (const left of (await readdir(of(owner))).filter((one) => UNFINISHED.test(one))) await rm(join(of(owner), left), { force: true });
      if (existsSync(path)) throw new Error(`${path} is there already. An export is never overwritten.`);
      await writeWhole(path, sealed);
      await flushFolder(of(owner));
    },
    read: (owner, name) => readFile(join(of(owner), name), "utf8"),
    remove: (owner, name) => rm(join(of(owner), name), { force: true }),
  };
}

/** The name of an export made at this time: later ones sort behind earlier ones. No colons, which some shares cannot take. */
export const exportName = (time: Date): string => `${time.toISOString().replace(/[-:]/g, "")}.roots.age`;

/** When an export was made, by its name. */
export function exportTime(name: string): Date {
  const [, date, time] = /^(\d{8})T(\d{6}\.\d{3})Z/.exec(name) ?? [];
  if (date === undefined || time === undefined) throw new Error(`${name} is not the name of an export.`);
  return new Date(`${date.slice(0, 4)}-${date.slice(4, 6)}-${date.slice(6)}T${time.slice(0, 2)}:${time.slice(2, 4)}:${time.slice(4)}Z`);
}

async function writeWhole(path: string, text: string): Promise<void> {
  const unfinished = `${path}.${process.pid}.new`;
  const file = await open(unfinished, "wx", 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(unfinished, path);
}

/** Some shares cannot flush a folder: there, the file's own flush is all that there is. */
async function flushFolder(path: string): Promise<void> {
  const folder = await open(path, "r");
  try {
    await folder.sync();
  } catch (error) {
    if (!["EINVAL", "ENOTSUP", "EBADF", "EPERM"].includes((error as NodeJS.ErrnoException).code ?? "")) throw error;
  } finally {
    await folder.close();
  }
}
