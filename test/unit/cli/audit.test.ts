import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Command } from "commander";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { auditCommands } from "../../../cli/audit.js";
import { auditLog, placesOf, type Places } from "../../../cli/places.js";
import { record, recorded, type AuditLog } from "../../../custody/audit/log.js";

let project: string;
let places: Places;
let log: AuditLog;

beforeEach(async () => {
  project = mkdtempSync(join(tmpdir(), "holdfast-audit-"));
  writeFileSync(join(project, "Pulumi.yaml"), "name: holdfast\n");
  writeFileSync(join(project, "Pulumi.prod.yaml"), "config:\n  holdfast:network: mainnet\n");
  places = placesOf(project, "prod");
  log = auditLog(places);
  await recorded(log, { action: "environment-unlocked", subject: "prod" }, async () => undefined);
  await record(log, { action: "secret-rotated", subject: "alice/lnd-key", outcome: "begun" });
});
afterEach(() => {
  process.exitCode = undefined;
  rmSync(project, { recursive: true, force: true });
});

async function audit(...argv: string[]): Promise<{ readonly said: string; readonly exitCode: typeof process.exitCode }> {
  const parts: string[] = [];
  const written = vi.spyOn(process.stdout, "write").mockImplementation((part) => parts.push(String(part)) > 0);
  const program = new Command().exitOverride();
  auditCommands(program, () => places);
  process.exitCode = undefined;
  try {
    await program.parseAsync(["node", "holdfast", "audit", ...argv, "-s", "prod"]);
  } finally {
    written.mockRestore();
  }
  const { exitCode } = process;
  process.exitCode = undefined;
  return { said: parts.join("").replaceAll(/\u001b\[\d+m/g, ""), exitCode };
}
const change = (from: string, to: string): void => writeFileSync(log.file, readFileSync(log.file, "utf8").replace(from, to));

describe("holdfast audit verify", () => {
  it("finds a whole log well, tells its end and what was begun and never finished", async () => {
    const { said, exitCode } = await audit("verify");
    expect(exitCode).toBeUndefined();
    expect(said).toContain(`✓ ${project}/environments/prod/audit.jsonl: 3 lines, whole`);
    expect(said).toMatch(/line 3: secret-rotated of alice\/lnd-key was begun \S+ and never finished/);
    expect(said).toMatch(/holdfast audit verify --head 3:[0-9a-f]{64}\n$/);
  });

  it("names the line that was changed, and ends with 1", async () => {
    change('"outcome":"done"', '"outcome":"failed"');
    const { said, exitCode } = await audit("verify");
    expect(exitCode).toBe(1);
    expect(said).toContain("audit.jsonl: line 2 is not what was written");
    expect(JSON.parse((await audit("verify", "--json")).said)).toMatchObject({ whole: false, lines: 1, fault: expect.stringContaining("line 2") });
  });

  it("finds a cut end by the one beside the log", async () => {
    writeFileSync(log.file, readFileSync(log.file, "utf8").split("\n").slice(0, 2).join("\n"));
    expect(await audit("verify")).toMatchObject({ said: expect.stringContaining("the log ends after line 2, and once had 3: its end was cut off"), exitCode: 1 });
  });

  it("finds a log that was begun anew by the end in the last commit, and by one that was noted elsewhere", async () => {
    const { head } = JSON.parse((await audit("verify", "--json")).said) as { head: { sequence: number; hash: string } };
    const git = (...argv: string[]): unknown => execFileSync("git", ["-c", "user.name=ada", "-c", "user.email=ada@desk", ...argv], { cwd: project });
    const anew = async (): Promise<void> => {
      rmSync(log.file);
      rmSync(`${log.file}.head`);
      for (let line = 0; line < 5; line += 1) await record(log, { action: "environment-unlocked", subject: "prod", outcome: "done" });
    };
    await anew();
    expect((await audit("verify")).exitCode).toBeUndefined();
    expect(await audit("verify", "--head", `${head.sequence}:${head.hash}`)).toMatchObject({ said: expect.stringContaining("line 3 is another than the one that was noted elsewhere"), exitCode: 1 });
    git("init", "-q");
    git("add", "environments");
    git("commit", "-qm", "records");
    expect(await audit("verify")).toMatchObject({ said: expect.stringContaining("held against the end in the last commit: line 5"), exitCode: undefined });
    await anew();
    expect((await audit("verify")).exitCode).toBe(1);
  });

  it("finds lines of another environment", async () => {
    await record({ ...log, environment: "testnet" }, { action: "wallet-unlocked", subject: "alice", outcome: "done" });
    expect(await audit("verify")).toMatchObject({ said: expect.stringContaining("line 4 is of environment testnet"), exitCode: 1 });
  });

  it("says what an unfinished last line is, and that this is no fault", async () => {
    writeFileSync(log.file, `${readFileSync(log.file, "utf8")}{"format":`);
    expect(await audit("verify")).toMatchObject({ said: expect.stringContaining("10 bytes behind the last line are no line yet"), exitCode: undefined });
  });

  it("takes no --head that is no end", async () => {
    await expect(audit("verify", "--head", "3")).rejects.toThrow("--head 3 is no end of a log; wants SEQUENCE:HASH");
  });

  it("finds an environment that has no log yet well", async () => {
    rmSync(join(project, "environments"), { recursive: true });
    expect((await audit("verify")).said).toContain("0 lines, whole");
  });
});

describe("holdfast audit show", () => {
  it("prints who did what, and what is unfinished", async () => {
    const { said } = await audit("show");
    expect(said.split("\n").map((line) => line.trim().split(/ {2,}/).slice(3).join(" | "))).toEqual([
      "DEED | SUBJECT | OUTCOME", "environment-unlocked | prod | begun", "environment-unlocked | prod | done", "secret-rotated | alice/lnd-key | begun, never finished", "",
    ]);
  });

  it("prints the last lines, those of one kind, and JSON", async () => {
    expect((await audit("show", "--last", "1")).said.split("\n")).toHaveLength(3);
    expect((await audit("show", "--action", "environment-unlocked")).said).not.toContain("secret-rotated");
    expect(JSON.parse((await audit("show", "--json", "--last", "1")).said)).toMatchObject({ lines: [{ sequence: 3, unfinished: true, outcome: "begun" }] });
  });

  it("lets no line change the terminal", async () => {
    await record(log, { action: "age-rotated", subject: "\u001b[2Jenv\u202e", outcome: "failed", note: "gone\r\nok" });
    expect((await audit("show", "--last", "1")).said).toMatch(/\?\[2Jenv\?  failed: gone\?\?ok\n$/);
  });

  it("shows the lines before a fault, and that it is no whole log", async () => {
    change('"outcome":"begun","previous"', '"outcome":"done","previous"');
    const { said, exitCode } = await audit("show");
    expect(exitCode).toBe(1);
    expect(said).toContain("Not whole: line 1");
  });
});
