import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { Busy, withLock } from "../../../agent/lock.js";

async function fresh(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "holdfast-lock-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  return join(folder, "lock");
}

describe("withLock", () => {
  it("lets one in at a time", async () => {
    const path = await fresh();
    let inside = 0;
    await Promise.all(Array.from({ length: 5 }, () => withLock(path, { purpose: "work", wait: 5000 }, async () => {
      expect(++inside).toBe(1);
      await new Promise((done) => setTimeout(done, 5));
      inside--;
    })));
    expect(await readdir(join(path, ".."))).toEqual([]);
  });

  it("names a live holder", async () => {
    const path = await fresh();
    await withLock(path, { purpose: "the activation of x", wait: 0 }, async () => {
      await expect(withLock(path, { purpose: "other", wait: 0 }, async () => 1)).rejects.toThrow(Busy);
      await expect(withLock(path, { purpose: "other", wait: 0 }, async () => 1)).rejects.toThrow(`the activation of x is in progress since`);
    });
  });

  it("takes over from a dead one, also when another process has its number now", async () => {
    const path = await fresh();
    for (let round = 0; round < 20; round++) {
      await writeFile(path, JSON.stringify({ pid: process.pid, started: "1", purpose: "dead", since: "then" }));
      let inside = 0;
      await Promise.all([1, 2, 3, 4].map(() => withLock(path, { purpose: "next", wait: 5000 }, async () => {
        expect(++inside).toBe(1);
        await new Promise(setImmediate);
        inside--;
      })));
    }
    expect(await readdir(join(path, ".."))).toEqual([]);
  });

  it("is free again after its work failed", async () => {
    const path = await fresh();
    await expect(withLock(path, { purpose: "work", wait: 0 }, async () => { throw new Error("failed"); })).rejects.toThrow("failed");
    expect(await withLock(path, { purpose: "work", wait: 0 }, async () => 1)).toBe(1);
  });
});
