import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach } from "vitest";
import { openStore } from "../../../../bunker/store/open.js";
import type { Store } from "../../../../bunker/store/store.js";

/** A data folder for one test file's tests, each with a fresh one, and a clock that stands until it is set. */
export function dataFolder(): { readonly path: () => string; readonly open: () => Store; readonly clock: { time: number } } {
  const clock = { time: 1_700_000_000_000 };
  const opened: Store[] = [];
  let folder: string | undefined;
  afterEach(() => {
    for (const store of opened.splice(0)) store.close();
    if (folder !== undefined) rmSync(folder, { recursive: true });
    folder = undefined;
    clock.time = 1_700_000_000_000;
  });
  const path = (): string => join((folder ??= mkdtempSync(join(tmpdir(), "bunker-"))), "bunker.db");
  return {
    path, clock,
    open: () => {
      const store = openStore(path(), () => clock.time);
      opened.push(store);
      return store;
    },
  };
}

export const publicKey = (digit: string): string => digit.repeat(64);
