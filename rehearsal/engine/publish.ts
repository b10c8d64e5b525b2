import { randomBytes } from "node:crypto";
import { mkdir, readdir, rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { ownerOf } from "./lock.js";

const DRAFT = /^\.making-(\d+)-/;

/** Whether a folder is there. What {@link publish} has put there is whole. */
export async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
    throw error;
  }
}

/**
 * Makes a folder under its final name only when it is whole: it is filled under another name, then renamed. A second process that finishes
 * later finds the name taken and throws its own away.
 */
export async function publish(folder: string, fill: (draft: string) => Promise<void>): Promise<void> {
  const parent = dirname(folder);
  await mkdir(parent, { recursive: true });
  await removeAbandoned(parent);
  const draft = join(parent, `.making-${process.pid}-${randomBytes(4).toString("hex")}`);
  await mkdir(draft);
  try {
    await fill(draft);
    await rename(draft, folder);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code !== "ENOTEMPTY" && code !== "EEXIST") throw error;
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}

/** Removes what processes that have died left half made. */
async function removeAbandoned(parent: string): Promise<void> {
  for (const name of await readdir(parent)) {
    const pid = DRAFT.exec(name)?.[1];
    if (pid !== undefined && (await ownerOf(Number(pid))) === undefined) await rm(join(parent, name), { recursive: true, force: true });
  }
}
