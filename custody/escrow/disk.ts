import { closeSync, fsyncSync, mkdirSync, openSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";

/** What an escrow does to the disk, one thing at a time: a test stops it between any two. */
export interface Disk {
  readonly makeFolder: (path: string) => void;
  /** Kept by the time this returns. */
  readonly write: (path: string, text: string, mode: number) => void;
  readonly rename: (from: string, to: string) => void;
  /** A file or a whole folder; nothing when there is none. */
  readonly remove: (path: string) => void;
}

export const realDisk: Disk = {
  makeFolder: (path) => void mkdirSync(path, { recursive: true }),
  write: (path, text, mode) => writeFileSync(path, text, { mode, flush: true }),
  rename: (from, to) => {
    renameSync(from, to);
    flushFolder(dirname(to));
  },
  remove: (path) => {
    rmSync(path, { recursive: true, force: true });
    flushFolder(dirname(path));
  },
};

function flushFolder(path: string): void {
  const folder = openSync(path, "r");
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}
