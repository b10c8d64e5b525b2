import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { clearStaleLocks, isAlive } from "../../../cli/staleLock.js";

let state: string;
let lock: string;
beforeEach(() => {
  state = mkdtempSync(join(tmpdir(), "holdfast lock-"));
  const folder = join(state, ".pulumi", "locks", "organization", "holdfast", "dev");
  mkdirSync(folder, { recursive: true });
  lock = join(folder, "3f6c.json");
});
afterEach(() => rmSync(state, { recursive: true, force: true }));

const backend = (): string => `file://${state.replaceAll(" ", "%20")}`;
const hold = (pid: number, host = hostname()): void => writeFileSync(lock, JSON.stringify({ pid, username: "root", hostname: host, timestamp: "2026-11-21T00:00:00Z" }));
/** The id of a process that has been. */
const dead = (): number => spawnSync("true").pid;

describe("a backend's lock", () => {
  it("is cleared when its process is dead and ran here, and the message names the process", () => {
    const pid = dead();
    hold(pid);
    expect(clearStaleLocks(backend(), "holdfast", "dev")).toEqual([`cleared the lock of process ${pid}, which is dead`]);
    expect(existsSync(lock)).toBe(false);
  });

  it("stays while its process lives", () => {
    const child = spawn("sleep", ["30"]);
    try {
      hold(child.pid!);
      expect(clearStaleLocks(backend(), "holdfast", "dev")).toEqual([]);
      expect(existsSync(lock)).toBe(true);
    } finally {
      child.kill();
    }
  });

  it("stays when it is another machine's: nobody here knows whether that process lives", () => {
    hold(dead(), "elsewhere");
    expect(clearStaleLocks(backend(), "holdfast", "dev")).toEqual([]);
    expect(existsSync(lock)).toBe(true);
  });

  it("stays when it is another stack's, and no lock or no file backend is no fault", () => {
    hold(dead());
    expect(clearStaleLocks(backend(), "holdfast", "prod")).toEqual([]);
    expect(clearStaleLocks("s3://bucket", "holdfast", "dev")).toEqual([]);
    expect(existsSync(lock)).toBe(true);
  });

  it("is cleared when its process has ended and only its parent has not noticed", async () => {
    const child = spawn("sh", ["-c", "sleep 0.3 & echo $!; exec sleep 30"]);
    try {
      const pid = Number(String((await once(child.stdout, "data"))[0]));
      await vi.waitFor(() => expect(readFileSync(`/proc/${pid}/stat`, "utf8")).toMatch(/\) Z /), { timeout: 10_000 });
      hold(pid);
      expect(clearStaleLocks(backend(), "holdfast", "dev")).toEqual([`cleared the lock of process ${pid}, which is dead`]);
    } finally {
      child.kill();
    }
  });

  it("counts a process of another user as alive", () => {
    expect(isAlive(1)).toBe(true);
    expect(isAlive(process.pid)).toBe(true);
    expect(isAlive(dead())).toBe(false);
  });
});
