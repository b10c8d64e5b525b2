import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { isAlive, ownerOf, withLock } from "../../../../rehearsal/engine/lock.js";
import { exists, publish } from "../../../../rehearsal/engine/publish.js";
import { hashOfSources } from "../../../../rehearsal/engine/sources.js";

let folder: string;
beforeEach(() => { folder = mkdtempSync(join(tmpdir(), "holdfast-cache-")); });
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** The id of a process that has been and is no more. */
const deadPid = (): number => spawnSync("true").pid;
const quiet = { report: () => undefined, deadline: 2_000 };

describe("withLock", () => {
  it("runs one at a time and leaves nothing behind", async () => {
    const lock = join(folder, "lock");
    const events: string[] = [];
    const work = (name: string) => withLock(lock, quiet, async () => { events.push(`${name} in`); await sleep(30); events.push(`${name} out`); });
    await Promise.all([work("a"), work("b"), work("c")]);
    for (let i = 0; i < events.length; i += 2) expect(events[i + 1]).toBe(events[i]!.replace(" in", " out"));
    expect(events.length).toBe(6);
    expect(readdirSync(folder)).toEqual([]);
  });

  it("takes over from an owner that has died", async () => {
    writeFileSync(join(folder, "lock"), `${deadPid()} 12345 abc\n`);
    expect(await withLock(join(folder, "lock"), quiet, async () => "done")).toBe("done");
  });

  it("takes over from an owner whose process id another process has now", async () => {
    writeFileSync(join(folder, "lock"), `${process.pid} 1 abc\n`);
    expect(await withLock(join(folder, "lock"), quiet, async () => "done")).toBe("done");
  });

  it("waits for an owner that lives, says so once, and gives up at its deadline naming it", async () => {
    writeFileSync(join(folder, "lock"), `${process.pid} ${(await ownerOf(process.pid))!.started} abc\n`);
    const lines: string[] = [];
    const wait = withLock(join(folder, "lock"), { report: (line) => lines.push(line), deadline: 400 }, async () => "never");
    await expect(wait).rejects.toThrow(`process ${process.pid} has held ${join(folder, "lock")}`);
    expect(lines).toEqual([`waiting for another build (process ${process.pid})`]);
  });

  it("gives the lock back when the work fails", async () => {
    await expect(withLock(join(folder, "lock"), quiet, async () => { throw new Error("broken"); })).rejects.toThrow("broken");
    expect(existsSync(join(folder, "lock"))).toBe(false);
  });

  it("takes a file that names nobody for a lock without an owner", async () => {
    expect(await isAlive("")).toBe(false);
    expect(await isAlive("nonsense")).toBe(false);
  });
});

describe("publish", () => {
  const target = (): string => join(folder, "built");

  it("shows a folder only when it is whole", async () => {
    await publish(target(), async (draft) => {
      writeFileSync(join(draft, "one"), "1");
      expect(await exists(target())).toBe(false);
    });
    expect(readFileSync(join(target(), "one"), "utf8")).toBe("1");
  });

  it("leaves nothing when filling fails", async () => {
    await expect(publish(target(), async (draft) => { writeFileSync(join(draft, "half"), ""); throw new Error("killed"); })).rejects.toThrow("killed");
    expect(readdirSync(folder)).toEqual([]);
  });

  it("keeps what another process has finished meanwhile", async () => {
    await publish(target(), async (draft) => {
      writeFileSync(join(draft, "one"), "mine");
      mkdirSync(target());
      writeFileSync(join(target(), "one"), "theirs");
    });
    expect(readFileSync(join(target(), "one"), "utf8")).toBe("theirs");
    expect(readdirSync(folder)).toEqual(["built"]);
  });

  it("removes the half-made folder of a process that was killed, not one of a process that lives", async () => {
    const [abandoned, busy] = [`.making-${deadPid()}-aa`, `.making-${process.pid}-bb`];
    for (const name of [abandoned, busy]) mkdirSync(join(folder, name));
    await publish(target(), async () => undefined);
    expect(readdirSync(folder).sort()).toEqual([busy, "built"]);
  });
});

describe("hashOfSources", () => {
  const files: Readonly<Record<string, string>> = { "go.mod": "module a\n", "go.sum": "", "main.go": "package main\n", "deep/part.go": "package deep\n", "shim/go.mod": "module b\n" };
  beforeEach(() => {
    for (const name of ["deep", "shim"]) mkdirSync(join(folder, name));
    for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content);
  });

  it.each(Object.keys(files))("changes with %s", async (name) => {
    const before = await hashOfSources(folder, {});
    writeFileSync(join(folder, name), `${files[name]} `);
    expect(await hashOfSources(folder, {})).not.toBe(before);
  });

  it("changes with how it is built, and not with tests or documentation", async () => {
    const before = await hashOfSources(folder, { tags: "a" });
    for (const name of ["README.md", "main_test.go"]) writeFileSync(join(folder, name), "new");
    expect(await hashOfSources(folder, { tags: "a" })).toBe(before);
    expect(await hashOfSources(folder, { tags: "b" })).not.toBe(before);
  });
});
