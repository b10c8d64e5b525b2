import { chmod, chown, link, lstat, mkdir, open, readFile, readdir, readlink, rename, rm, symlink } from "node:fs/promises";
import { readIfThere, writeWhole } from "../files.js";

export interface Ownership {
  readonly uid: number;
  readonly gid: number;
  /** Permission bits alone. */
  readonly mode: number;
}

export interface Seen extends Ownership {
  readonly kind: "file" | "folder" | "link" | "other";
}

/** The file operations of an installation, each of which a test can make the last one. */
export interface Disk {
  /** Names in a folder, sorted; none when it does not exist. */
  list(folder: string): Promise<string[]>;
  look(path: string): Promise<Seen | undefined>;
  read(path: string): Promise<Buffer>;
  readText(path: string): Promise<string | undefined>;
  readLink(path: string): Promise<string>;
  makeFolder(path: string, mode: number): Promise<void>;
  /** Makes one folder that was not there. */
  makeOwnFolder(path: string, ownership: Ownership): Promise<void>;
  /** Makes a file that was not there; nobody but root can read it before it has its owner and mode. */
  makeFile(path: string, content: Uint8Array, ownership: Ownership): Promise<void>;
  writeWhole(path: string, content: string, mode: number): Promise<void>;
  link(existing: string, path: string): Promise<void>;
  symlink(target: string, path: string): Promise<void>;
  chmod(path: string, mode: number): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  /** With everything below it; nothing happens when it does not exist. */
  remove(path: string): Promise<void>;
  /** Puts a folder's entries on the disk. */
  sync(folder: string): Promise<void>;
}

export function diskOf(): Disk {
  return {
    list: async (folder) => {
      try {
        return (await readdir(folder)).sort();
      } catch (error) {
        if (isMissing(error)) return [];
        throw error;
      }
    },
    look,
    read: (path) => readFile(path),
    readText: readIfThere,
    readLink: (path) => readlink(path),
    makeFolder: async (path, mode) => {
      await mkdir(path, { recursive: true, mode });
      await chmod(path, mode);
    },
    makeOwnFolder,
    makeFile,
    writeWhole,
    link,
    symlink: (target, path) => symlink(target, path),
    chmod,
    rename,
    remove: (path) => rm(path, { recursive: true, force: true }),
    sync: async (folder) => {
      const handle = await open(folder, "r");
      try {
        await handle.sync();
      } finally {
        await handle.close();
      }
    },
  };
}

async function look(path: string): Promise<Seen | undefined> {
  try {
    const stat = await lstat(path);
    const kind = stat.isFile() ? "file" : stat.isDirectory() ? "folder" : stat.isSymbolicLink() ? "link" : "other";
    return { kind, uid: stat.uid, gid: stat.gid, mode: stat.mode & 0o7777 };
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

async function makeOwnFolder(path: string, { uid, gid, mode }: Ownership): Promise<void> {
  const fresh = `${path}.holdfast`;
  await rm(fresh, { recursive: true, force: true });
  await mkdir(fresh, { mode: 0o700 });
  await chown(fresh, uid, gid);
  await chmod(fresh, mode);
  await rename(fresh, path);
}

async function makeFile(path: string, content: Uint8Array, { uid, gid, mode }: Ownership): Promise<void> {
  const file = await open(path, "wx", 0o600);
  try {
    await file.writeFile(content);
    await file.chown(uid, gid);
    await file.chmod(mode);
    await file.sync();
  } finally {
    await file.close();
  }
}

function isMissing(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === "ENOENT";
}
