import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { isAlive } from "../../cli/staleLock.js";
import { writeIdentity } from "../../custody/identityFile.js";
import { identityIn, openText } from "../../custody/seal.js";
import { identityFileSchema, seedSchema, type IdentityFile } from "../../formats/identity.js";
import { parseFormat } from "../../formats/versioned.js";
import { processes } from "../../rehearsal/machines/processes.js";
import { memoryHolds } from "../memory.js";
import { newProject, type Ended, type Project } from "../project.js";
import { canaryFor, runsOf, type Canary } from "../machines/canary.js";

let project: Project;
let canary: Canary;
let identity: IdentityFile;
let mnemonic: readonly string[];
let socket = "";

const audit = (): { action: string; subject: string; outcome: string; note?: string }[] =>
  readFileSync(join(project.state, "audit.jsonl"), "utf8").trim().split("\n").map((line) => JSON.parse(line) as never);
const resealed = (): string[] => audit().filter(({ action }) => action === "identity-resealed").map(({ subject, outcome }) => `${subject} ${outcome}`);
const keepers = (): number[] => processes().filter(({ argv }) => argv.includes(join(project.folder, "dist", "wallet-keeper.js"))).map(({ pid }) => pid);

/** Runs lines as an operator types them into one shell. */
async function shell(...lines: string[]): Promise<Ended> {
  const PATH = [join(project.folder, ".shims"), resolve("node_modules/.bin"), process.env["PATH"]].join(":");
  const script = ['holdfast() { node cli/holdfast.mjs "$@"; }', "set -e", ...lines].join("\n");
  const result = await execa("sh", ["-c", script], { cwd: project.folder, env: { PATH, NO_COLOR: "1" }, all: true, reject: false, stdin: "ignore", timeout: 400_000 });
  return { exitCode: result.exitCode ?? -1, output: result.all, stdout: result.stdout };
}

beforeAll(async () => {
  project = await newProject();
  expect(await project.holdfast("machine", "create")).toMatchObject({ exitCode: 0 });
  // As on mainnet: the wallet identity is behind a passphrase, and the stack file names none.
  const file = join(project.state, "wallet.age-key");
  const wallet = identityIn(readFileSync(file, "utf8"), file);
  identity = parseFormat(identityFileSchema, "identity", readFileSync(join(project.state, "alice.lnd-seed.json"), "utf8"));
  for (const name of [file, `${file}.pub`]) rmSync(name, { force: true });
  await writeIdentity(file, { identity: wallet, recipient: identity.recipient }, { form: "passphrase", passphrase: "correct horse battery staple" });
  writeFileSync(join(project.folder, "wallet-passphrase"), "correct horse battery staple\n", { mode: 0o600 });
  project.edit("Pulumi.dev.yaml", (text) => text.replace(/^ {2}holdfast:wallet:\n.*\n/m, ""));
  mnemonic = parseFormat(seedSchema, "seed", await openText(identity.sealed, wallet)).mnemonic;
  canary = canaryFor(new Map(runsOf(mnemonic).map((run) => [run, "seed"])));
});

afterAll(async () => {
  await project.holdfast("wallet", "lock");
  canary.remove();
  expect(await project.remove()).toEqual([]);
});

describe("a node whose wallet identity is behind a passphrase", () => {
  it("is not opened while the wallet is locked: the update says what to run", async () => {
    expect(readFileSync(join(project.folder, "Pulumi.dev.yaml"), "utf8")).not.toContain("holdfast:wallet");
    const { exitCode, output } = await project.holdfast("up", "--yes");
    expect(exitCode).not.toBe(0);
    expect(output).toContain("alice needs its identities, and nothing here opens them: dev's wallet is locked");
    expect(output).toContain('eval "$(holdfast wallet unlock -s dev)"');
    expect(await project.ssh("alice", "systemctl is-active holdfast-identity.target || true")).toMatchObject({ stdout: "inactive" });
  });

  it("comes up as itself once the wallet is unlocked in the shell, with the same command, which goes on where it stopped", async () => {
    const { exitCode, output, stdout } = await shell(
      'eval "$(holdfast wallet unlock --passphrase-file wallet-passphrase --for 30m)"', 'echo "socket $HOLDFAST_WALLET_SOCK"', "holdfast up --yes",
    );
    expect(exitCode, output).toBe(0);
    expect(output).toContain("open (fresh)");
    expect(output).toContain(identity.nodePublicKey);
    expect(output).not.toContain("alice-system-install");
    socket = /^socket (\S+)$/m.exec(stdout)![1]!;
    expect(resealed()).toEqual(["alice generation 1 begun", "alice generation 1 done"]);
  });

  it("has its seed in the memory of one process on this machine, and nowhere else", async () => {
    const [keeper, ...others] = keepers();
    expect(others).toEqual([]);
    expect(existsSync(socket)).toBe(true);
    const places = ["environ", "cmdline", "limits", "fdinfo"].map((name) => `/proc/${keeper}/${name}`);
    const own = readdirSync(project.folder).filter((name) => !["node_modules", ".git", ".holdfast"].includes(name)).map((name) => join(project.folder, name));
    const kept = readdirSync(project.state).filter((name) => name !== "machines").map((name) => join(project.state, name));
    expect(await canary.search([...places, ...own, ...kept, join(project.folder, ".holdfast", "state"), dirname(socket)])).toEqual([]);
    expect(readFileSync(`/proc/${keeper}/environ`, "latin1")).not.toMatch(/HOLDFAST|PULUMI|AGE-/);
    // Where it is, this search finds it.
    expect(memoryHolds(keeper!, mnemonic.slice(4, 9).join('","'))).toBe(true);
  });

  it("is rebuilt by plain pulumi in the same shell", async () => {
    expect(await project.holdfast("machine", "delete", "alice")).toMatchObject({ exitCode: 0 });
    const { exitCode, output } = await shell(
      `export HOLDFAST_WALLET_SOCK='${socket}'`, "holdfast machine create", 'eval "$(holdfast env unlock)"', "pulumi up --yes --skip-preview --non-interactive --stack dev",
    );
    expect(exitCode, output).toBe(0);
    expect(JSON.parse((await project.holdfast("status", "--json")).stdout)).toMatchObject({ nodes: [{ gate: { state: "open", decision: "restore", nodePublicKey: identity.nodePublicKey } }] });
    expect(resealed().slice(2)).toEqual(["alice generation 2 begun", "alice generation 2 done"]);
  });

  it("is locked again by one command: socket and process are gone, and the log tells all of it", async () => {
    const [keeper] = keepers();
    const { exitCode, stdout } = await project.holdfast("wallet", "lock");
    expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: "unset HOLDFAST_WALLET_SOCK" });
    expect(existsSync(socket)).toBe(false);
    await expect.poll(() => isAlive(keeper!)).toBe(false);
    expect(audit().map(({ action, outcome }) => `${action} ${outcome}`).filter((line) => /wallet|resealed/.test(line))).toEqual([
      "wallet-unlocked begun", "wallet-unlocked done", "identity-resealed begun", "identity-resealed done", "identity-resealed begun", "identity-resealed done", "wallet-locked done",
    ]);
    expect(await project.holdfast("audit", "verify")).toMatchObject({ exitCode: 0 });
  });
});
