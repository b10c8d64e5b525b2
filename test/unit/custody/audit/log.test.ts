import { spawn, type ChildProcess } from "node:child_process";
import { appendFileSync, chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { emptyHead, headOf, nextLine, printLine } from "../../../../custody/audit/chain.js";
import { notedHead, readLog, record, recorded, type AuditLog } from "../../../../custody/audit/log.js";

const here = mkdtempSync(join(tmpdir(), "holdfast-audit-"));
const program = join(here, "recorder.mjs");
let count = 0;
let log: AuditLog;

/** Records deeds until it is told to stop, and says which were recorded. */
const RECORDER = `
import { record } from "./custody/audit/log.js";
const [file, name, most] = process.argv.slice(2);
try {
  for (let number = 0; number < Number(most); number += 1) {
    await record({ file, environment: "dev" }, { action: "secret-rotated", subject: name + "-" + number, outcome: "done" });
    process.stdout.write(name + "-" + number + "\\n");
  }
} catch (error) {
  process.stderr.write(error.message);
  process.exitCode = 1;
}`;

beforeAll(async () => {
  const project = fileURLToPath(new URL("../../../..", import.meta.url));
  await build({ stdin: { contents: RECORDER, resolveDir: project, loader: "ts" }, outfile: program, bundle: true, platform: "node", format: "esm", logLevel: "error" });
});
afterAll(() => {
  chmodSync(here, 0o700);
  rmSync(here, { recursive: true, force: true });
});
beforeEach(() => {
  count += 1;
  log = { file: join(here, String(count), "audit.jsonl"), environment: "dev" };
});

const done = (subject: string): Promise<void> => record(log, { action: "age-rotated", subject, outcome: "done" });
const subjects = async (): Promise<string[]> => (await readLog(log)).lines.map(({ subject }) => subject);
const beside = (): string[] => readdirSync(join(log.file, "..")).sort();

interface Recorder {
  readonly child: ChildProcess;
  readonly ended: Promise<{ readonly acknowledged: string[]; readonly error: string; readonly code: number | null }>;
}

function recorder(name: string, most: number, options: { readonly uid?: number } = {}): Recorder {
  const child = spawn(process.execPath, [program, log.file, name, String(most)], { stdio: ["ignore", "pipe", "pipe"], ...options });
  let [told, error] = ["", ""];
  child.stdout.on("data", (part) => { told += String(part); });
  child.stderr.on("data", (part) => { error += String(part); });
  return { child, ended: new Promise((resolve) => child.once("close", (code) => resolve({ acknowledged: told.split("\n").slice(0, -1), error, code }))) };
}

describe("an audit log", () => {
  it("keeps lines in order, with the end noted beside it, for its user alone", async () => {
    await done("one");
    await done("two");
    expect(await subjects()).toEqual(["one", "two"]);
    const { lines, fault } = await readLog(log);
    expect(fault).toBeUndefined();
    expect(await notedHead(log)).toEqual(headOf(lines[1]!));
    expect(beside()).toEqual(["audit.jsonl", "audit.jsonl.head"]);
  });

  it("gets every line of several processes at once", async () => {
    const all = await Promise.all(["a", "b", "c", "d"].map((name) => recorder(name, 15).ended));
    expect(all.map(({ error }) => error)).toEqual(["", "", "", ""]);
    expect((await readLog(log)).fault).toBeUndefined();
    expect((await subjects()).sort()).toEqual(all.flatMap(({ acknowledged }) => acknowledged).sort());
    expect(await subjects()).toHaveLength(60);
  });

  it("loses no acknowledged line to processes that are killed, and waits for none of them", async () => {
    const recorders = ["a", "b", "c", "d"].map((name) => recorder(name, 1000));
    for (const { child } of recorders) {
      await new Promise((resolve) => setTimeout(resolve, 350));
      child.kill("SIGKILL");
    }
    const acknowledged = (await Promise.all(recorders.map(({ ended }) => ended))).flatMap((one) => one.acknowledged);
    expect(acknowledged.length).toBeGreaterThan(10);
    const before = Date.now();
    await done("last");
    expect(Date.now() - before).toBeLessThan(2000);
    const { lines, fault, torn } = await readLog(log);
    expect([fault, torn]).toEqual([undefined, undefined]);
    const written = lines.map(({ subject }) => subject);
    expect(new Set(written).size).toBe(written.length);
    expect(written).toEqual(expect.arrayContaining([...acknowledged, "last"]));
    // At most one each was on its way.
    expect(written.length - acknowledged.length).toBeLessThanOrEqual(5);
    expect(beside().filter((name) => name.includes(".claim-"))).toEqual([]);
  });

  it("finishes the line of a process that was killed while writing it", async () => {
    await done("one");
    const line = `${printLine(nextLine(await notedHead(log), { action: "age-rotated", environment: "dev", subject: "two", outcome: "begun" }, { time: new Date(), who: "ada@desk" }))}\n`;
    writeFileSync(`${log.file}.claim-2`, line);
    appendFileSync(log.file, line.slice(0, 100));
    await done("three");
    expect(await subjects()).toEqual(["one", "two", "three"]);
    expect(beside()).toEqual(["audit.jsonl", "audit.jsonl.head"]);
  });

  it("withdraws a claim to a line that is there, and what a killed process left of one", async () => {
    await done("one");
    writeFileSync(`${log.file}.claim-1`, "late");
    await done("two");
    expect(await subjects()).toEqual(["one", "two"]);
    expect(beside()).toEqual(["audit.jsonl", "audit.jsonl.head"]);
  });

  it("drops the claim that a killed process had on a log which lay there before", async () => {
    await done("one");
    const other = nextLine({ sequence: 1, hash: "ab".repeat(32) }, { action: "age-rotated", environment: "dev", subject: "other", outcome: "begun" }, { time: new Date(), who: "ada@desk" });
    writeFileSync(`${log.file}.claim-2`, `${printLine(other)}\n`);
    await done("two");
    expect(await subjects()).toEqual(["one", "two"]);
    expect((await readLog(log)).fault).toBeUndefined();
    expect(beside()).toEqual(["audit.jsonl", "audit.jsonl.head"]);
  });

  it.each([["short", '{"format":"holdf'], ["as long as a line", `{"format":"holdfast-audit/1","sequence":2,"note":"${"x".repeat(2000)}`], ["of a file system that lost it", "\0".repeat(300)]])(
    "sets an unfinished line aside that is %s, and says so in a line", async (_, torn) => {
      await done("one");
      appendFileSync(log.file, torn);
      expect(await readLog(log)).toMatchObject({ torn: torn.length });
      await done("two");
      const { lines, fault } = await readLog(log);
      expect(fault).toBeUndefined();
      expect(lines.map(({ action }) => action)).toEqual(["age-rotated", "log-mended", "age-rotated"]);
      expect(lines[1]!.note).toBe(`${torn.length} bytes of a line that was never finished are now in audit.jsonl.torn`);
      expect(readFileSync(`${log.file}.torn`, "utf8")).toBe(`${torn}\n`);
    });

  it("goes on behind a last line that lacks only its newline", async () => {
    await done("one");
    truncateSync(log.file, readFileSync(log.file).length - 1);
    await done("two");
    expect(await subjects()).toEqual(["one", "two"]);
    expect((await readLog(log)).fault).toBeUndefined();
  });

  it("takes no line when its end was cut off, in the middle of a line or between two", async () => {
    await done("one");
    await done("two");
    const text = readFileSync(log.file, "utf8");
    for (const kept of [text.slice(0, -30), text.slice(0, text.indexOf("\n") + 1), ""]) {
      writeFileSync(log.file, kept);
      await expect(done("three")).rejects.toThrow(/cannot be added to: it ends after line [01], and once had 2: its end was cut off\. Bring it back from version control/);
      expect(readFileSync(log.file, "utf8")).toBe(kept);
      expect((await readLog(log)).fault).toContain("its end was cut off");
    }
  });

  it("takes no line when one of its last was changed, nor behind what is no line", async () => {
    await done("one");
    await done("two");
    const text = readFileSync(log.file, "utf8");
    writeFileSync(log.file, text.replace('"two"', '"tw0"'));
    await expect(done("three")).rejects.toThrow("line 2 is not what was written");
    writeFileSync(log.file, text + "x".repeat(10_000));
    await expect(done("three")).rejects.toThrow("10000 bytes that are no line");
  });

  it("looks at all of itself when the end beside it is gone or far behind", async () => {
    const lines = manyLines(300);
    mkdirSync(join(log.file, ".."));
    writeFileSync(log.file, lines.join(""));
    await done("last");
    rmSync(`${log.file}.head`);
    writeFileSync(log.file, readFileSync(log.file, "utf8").replace('"deed 5"', '"deed x"'));
    await expect(done("more")).rejects.toThrow("line 6 is not what was written");
  });

  it("is added to as quickly with 10,000 lines as with ten", async () => {
    mkdirSync(join(log.file, ".."));
    const lines = manyLines(10_000);
    writeFileSync(log.file, lines.join(""));
    const { sequence, hash } = JSON.parse(lines.at(-1)!) as { sequence: number; hash: string };
    writeFileSync(`${log.file}.head`, JSON.stringify({ sequence, hash }));
    const before = performance.now();
    for (let number = 0; number < 10; number += 1) await done(String(number));
    // Looking at all lines takes some 200 ms each time.
    expect((performance.now() - before) / 10).toBeLessThan(100);
    expect((await readLog(log)).lines).toHaveLength(10_010);
  });

  it("that cannot be written says so at once, and what to do", async () => {
    mkdirSync(join(log.file, ".."), { mode: 0o500 });
    chmodSync(here, 0o755);
    const before = Date.now();
    const root = process.getuid?.() === 0;
    const { error } = await recorder("a", 1, root ? { uid: 65534 } : {}).ended;
    expect(error).toMatch(/audit\.jsonl cannot be written \(EACCES\), and what uses a key must leave a line there first\. Nothing was done\. Make its folder writable for \S+, or name another as holdfast:records\.$/);
    expect(Date.now() - before).toBeLessThan(5000);
    expect(existsSync(log.file)).toBe(false);
  });

  it("whose noted end cannot be read says which file that is", async () => {
    await done("one");
    writeFileSync(`${log.file}.head`, "{");
    await expect(done("two")).rejects.toThrow(/audit\.jsonl\.head: this is not JSON/);
  });
});

describe("what must leave a line", () => {
  const outcomes = async (): Promise<string[]> => (await readLog(log)).lines.map(({ outcome, note }) => `${outcome}${note === undefined ? "" : `: ${note}`}`);
  const deed = { action: "wallet-unlocked", subject: "alice" } as const;

  it("is not done when its line cannot be written", async () => {
    mkdirSync(log.file, { recursive: true });
    let happened = false;
    await expect(recorded(log, deed, async () => { happened = true; })).rejects.toThrow("cannot be written (EISDIR)");
    expect(happened).toBe(false);
  });

  it("has a line before it and one behind it, which tells the result", async () => {
    expect(await recorded(log, { ...deed, told: (files) => `${files} files` }, async () => 3)).toBe(3);
    expect(await outcomes()).toEqual(["begun", "done: 3 files"]);
  });

  it("tells its failure without a key that an error quotes", async () => {
    await expect(recorded(log, deed, async () => { throw new Error("no such key AGE-SECRET-KEY-1QQPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L of yours"); })).rejects.toThrow("no such key");
    expect(await outcomes()).toEqual(["begun", "failed: no such key AGE-SECRET-KEY-1… of yours"]);
  });

  it("is said to be done when only its last line could not be written", async () => {
    await expect(recorded(log, deed, async () => writeFileSync(log.file, ""))).rejects.toThrow(/^wallet-unlocked of alice is done, and only its line in the audit log is missing: .*cut off/);
  });
});

function manyLines(count: number): string[] {
  let head = emptyHead;
  return Array.from({ length: count }, (_, number) => {
    const line = nextLine(head, { action: "bundle-delivered", environment: "dev", subject: `deed ${number}`, outcome: "done" }, { time: new Date(1_790_000_000_000 + number), who: "ada@desk" });
    head = headOf(line);
    return `${printLine(line)}\n`;
  });
}
