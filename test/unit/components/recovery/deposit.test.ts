import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { marksOf } from "../../../../components/recovery/deposit.js";
import { openNewestDeposit } from "../../../../custody/deposit/roots.js";
import { folderStore } from "../../../../custody/deposit/store.js";
import { newIdentity } from "../../../../custody/seal.js";
import { auditLineSchema } from "../../../../formats/audit.js";
import { depositedSchema } from "../../../../formats/roots.js";
import { exampleContent } from "../../custody/deposit/example.js";

let folder: string;
let recovery: { readonly identity: string; readonly recipient: string };
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "holdfast-deposit-step-"));
  recovery = await newIdentity();
  // Below the project, where the packages are.
  await build({ entryPoints: ["components/recovery/steps/deposit.ts"], outfile: join(folder, "deposit.mjs"), bundle: true, platform: "node", format: "esm", target: "node20", logLevel: "error",
    banner: { js: 'import { createRequire as holdfastRequire } from "node:module"; const require = holdfastRequire(import.meta.url);' } });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const run = (input: unknown): Promise<{ readonly code: number; readonly stdout: string; readonly stderr: string }> => new Promise((done) => {
  const child = execFile(process.execPath, [join(folder, "deposit.mjs")], { cwd: folder, timeout: 20_000 }, (error, stdout, stderr) => done({ code: Number(error?.code ?? 0), stdout, stderr }));
  child.stdin!.end(JSON.stringify(input));
});
const input = (): { readonly folder: string; readonly records: string; readonly content: ReturnType<typeof exampleContent> } => ({ folder: "deposit", records: "records", content: exampleContent(recovery.recipient) });
const audit = () => readFileSync(join(folder, "records", "audit.jsonl"), "utf8").trim().split("\n").map((line) => auditLineSchema.parse(JSON.parse(line)));

describe("the deposit step", () => {
  it("leaves an export that the recovery identity opens, with the end of the audit log inside, and says where it is", async () => {
    const { code, stdout, stderr } = await run(input());
    expect(code, stderr).toBe(0);
    const { file } = depositedSchema.parse(JSON.parse(stdout));
    expect(stderr).toBe(`roots sealed and read back: ${file}\n`);
    const { roots } = (await openNewestDeposit(folderStore(join(folder, "deposit")), { environment: "dev", node: "alice-1" }, recovery.identity))!;
    expect(roots).toMatchObject(input().content);
    const lines = audit();
    expect(lines.map(({ action, subject, outcome }) => [action, subject, outcome])).toEqual([["roots-deposited", "alice-1", "begun"], ["roots-deposited", "alice-1", "done"]]);
    expect(roots.audit).toEqual({ sequence: 1, hash: lines[0]!.hash });
  });

  it("says nothing of what it was given", async () => {
    const { stdout, stderr } = await run(input());
    const { roots, storePassword } = input().content;
    for (const secret of [storePassword, ...Object.values(roots).map(({ value }) => value)]) expect(stdout + stderr + JSON.stringify(audit())).not.toContain(secret);
  });

  it("fails in words where nothing can be written, and leaves a line that it did", async () => {
    writeFileSync(join(folder, "file"), "");
    const { code, stdout, stderr } = await run({ ...input(), folder: "file/deposit" });
    expect(code).toBe(1);
    expect(stdout).toBe("");
    expect(stderr).toMatch(/ENOTDIR/);
    expect(audit().at(-1)).toMatchObject({ action: "roots-deposited", outcome: "failed" });
  });
});

describe("what a deposit has of an environment's marks", () => {
  it("is the node's own key, whatever was noted, and no time that an update notes: no second update deposits once more", () => {
    const own = { state: "mark", tunnelKey: "key" };
    const made = { wallet: "2026-11-21T00:00:00.000Z", environment: "2026-11-20T00:00:00.000Z" };
    const before = marksOf({ format: "holdfast-marks/1", tunnels: {}, made }, "alice-1", own);
    const after = marksOf({ format: "holdfast-marks/1", tunnels: { "alice-1": "key", bob: "another" }, made: { "tunnel-alice-1": "2026-11-22T00:00:00.000Z", ...made } }, "alice-1", own);
    expect(JSON.stringify(after)).toBe(JSON.stringify(before));
    expect([after.tunnels, after.states]).toEqual([{ "alice-1": "key" }, { "alice-1": "mark" }]);
    expect(marksOf({ format: "holdfast-marks/1", tunnels: { "alice-1": "key" }, made }, "alice-1", { state: "mark" }).tunnels, "without a tunnel").toEqual({});
    expect(marksOf({ format: "holdfast-marks/1", passphrase: "f".repeat(64), tunnels: {}, made }, "alice-1", own)).toMatchObject({ passphrase: "f".repeat(64), made });
  });
});

describe("the wallet identity's file", () => {
  it("goes off-site with the roots when it is a plugin's, and never when it is in clear", async () => {
    const { record, exampleNode, inputOf } = await import("../recorder.js");
    const { Deposit } = await import("../../../../components/recovery/deposit.js");
    const before = process.cwd();
    const { specification, stack, remove } = exampleNode();
    process.chdir(folder);
    try {
      mkdirSync(join(".holdfast", "dev"), { recursive: true });
      const deposited = async (text: string): Promise<unknown> => {
        writeFileSync(join(".holdfast", "dev", "wallet.age-key"), text);
        const { resources, watch } = await record();
        const { valueOf } = await import("../recorder.js");
        await valueOf(new Deposit("alice-deposit", {
          specification, stack, place: { environment: "dev", network: "regtest", node: "alice-1", generation: 3 }, identities: [], roots: {}, certificates: {}, own: { state: "mark", tunnelKey: "key" },
        }, watch).deposited);
        return (inputOf(resources, "deposit")["content"] as { readonly walletIdentity?: string }).walletIdentity;
      };
      const plugin = "# Recipient: age1yubikey1q\nAGE-PLUGIN-YUBIKEY-1QQPSQVZ5DYQ\n";
      expect(await deposited(plugin)).toBe(plugin);
      expect(await deposited((await newIdentity()).identity)).toBeUndefined();
    } finally {
      process.chdir(before);
      remove();
    }
    expect(resolve(".")).toBe(before);
  });
});
