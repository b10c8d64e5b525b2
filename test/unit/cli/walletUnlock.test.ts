import { execFile, spawn } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { stringify } from "yaml";
import { askPassphrase } from "../../../cli/passphrase.js";
import { placesOf, type Places } from "../../../cli/places.js";
import { isAlive } from "../../../cli/staleLock.js";
import { lockWallets, startKeeper, unlockWallet } from "../../../cli/walletUnlock.js";
import { writeIdentity } from "../../../custody/identityFile.js";
import { newIdentity, openText } from "../../../custody/seal.js";
import { makeFileIdentity, makeSeed } from "../../../custody/wallet/make.js";
import { askWallet } from "../../../custody/wallet/socket.js";
import type { Kept } from "../../../formats/walletSocket.js";
import { memoryHolds } from "../../memory.js";

const PASSPHRASE = "correct horse battery staple";
/** Made once: a passphrase costs a second on purpose. */
let template: string;
let folder: string;
let places: Places;
let host: { readonly identity: string; readonly recipient: string };
const runtime = process.env["XDG_RUNTIME_DIR"];

async function stack(): Promise<void> {
  const wallet = await newIdentity();
  const owner = { environment: "prod", network: "signet" as const, node: "alice-1", recipient: wallet.recipient };
  const write = (path: string, value: unknown): void => writeFileSync(join(template, path), typeof value === "string" ? value : JSON.stringify(value));
  write("seed.json", await makeSeed(owner, new Date()));
  write("nsec.json", await makeFileIdentity(owner, { kind: "nsec", name: "main" }, new Date()));
  write("Pulumi.prod.yaml", stringify({ config: {
    "holdfast:network": "signet", "holdfast:nodes": { alice: { id: "alice-1", identity: "seed.json", identities: ["nsec.json"], host: { commodity: { file: "no-machine-yet.json" } } } },
  } }));
  await writeIdentity(join(template, "clear.age-key"), wallet, { form: "clear" });
  await writeIdentity(join(template, "wallet.age-key"), wallet, { form: "passphrase", passphrase: PASSPHRASE });
  writeFileSync(join(template, "passphrase"), PASSPHRASE, { mode: 0o600 });
}

beforeAll(async () => {
  await new Promise<void>((done, failed) => execFile(process.execPath, ["-e", 'import("./build.mjs").then(({ bundle }) => bundle("keeper"))'], (error) => (error === null ? done() : failed(error))));
  template = mkdtempSync(join(tmpdir(), "holdfast-unlock-"));
  host = await newIdentity();
  await stack();
}, 60_000);
afterAll(() => rmSync(template, { recursive: true, force: true }));

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "holdfast-unlock-"));
  for (const name of readdirSync(template)) copyFileSync(join(template, name), join(folder, name));
  mkdirSync(join(folder, "dist"));
  copyFileSync(resolve("dist/wallet-keeper.js"), join(folder, "dist", "wallet-keeper.js"));
  symlinkSync(resolve("node_modules"), join(folder, "node_modules"));
  writeFileSync(join(folder, "package.json"), '{"type":"module"}');
  mkdirSync(join(folder, "run"), { mode: 0o700 });
  process.env["XDG_RUNTIME_DIR"] = join(folder, "run");
  places = placesOf(folder, "prod");
});
afterEach(async () => {
  await lockWallets(places);
  if (runtime === undefined) delete process.env["XDG_RUNTIME_DIR"];
  else process.env["XDG_RUNTIME_DIR"] = runtime;
  rmSync(folder, { recursive: true, force: true });
});

const unlock = (identityFile = "clear.age-key", duration = 60_000): Promise<Kept> =>
  unlockWallet(places, { identityFile: join(folder, identityFile), ask: askPassphrase(join(folder, "passphrase")), duration });
const audit = (): { action: string; subject: string; outcome: string; note?: string }[] =>
  readFileSync(join(folder, "environments/prod/audit.jsonl"), "utf8").trim().split("\n").map((line) => JSON.parse(line) as never);
const question = { format: "holdfast-wallet/1" as const, ask: "reseal" as const, place: { environment: "prod", network: "signet" as const, node: "alice-1", generation: 1 } };
const gone = (socket: string): Promise<void> => expect.poll(() => existsSync(socket), { timeout: 5_000, interval: 50 }).toBe(false);

/** The process that keeps this test's wallet. */
function keeperOf(project: string): number {
  const program = join(project, "dist", "wallet-keeper.js");
  const found = readdirSync("/proc").filter((name) => /^\d+$/.test(name)).find((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0").includes(program);
    } catch {
      return false;
    }
  });
  return Number(found);
}

describe("unlocking a wallet", () => {
  it("opens every identity of the stack behind a passphrase, before there is a machine, and answers at a socket that is this user's alone", async () => {
    const { socket, nodes } = await unlock("wallet.age-key");
    expect(nodes.map(({ seed, files }) => [seed.node, files.map(({ kind }) => kind)])).toEqual([["alice-1", ["nsec"]]]);
    expect(statSync(socket).mode & 0o777).toBe(0o600);
    expect(statSync(dirname(socket)).mode & 0o777).toBe(0o700);
    const { sealed } = await askWallet(socket, { ...question, recipient: host.recipient });
    expect(JSON.parse(await openText(sealed!, host.identity))).toMatchObject({ mnemonic: nodes[0]!.seed.mnemonic, files: [{ kind: "nsec" }] });
    expect(audit().map(({ action, subject, outcome }) => `${action} ${subject} ${outcome}`)).toEqual([
      "wallet-unlocked alice-1 begun", "wallet-unlocked alice-1 done", "identity-resealed alice-1 generation 1 begun", "identity-resealed alice-1 generation 1 done",
    ]);
  });

  it.runIf(process.platform === "linux")("has what it opened in the memory of one process, and nowhere else", async () => {
    const { nodes } = await unlock("wallet.age-key");
    const pid = keeperOf(folder);
    const { mnemonic } = nodes[0]!.seed;
    const seed = mnemonic.slice(4, 9);
    // First, that this way of looking finds it where it is.
    expect(memoryHolds(pid, seed.join('","'))).toBe(true);
    const nsec = Buffer.from(nodes[0]!.files[0]!.secret, "base64").toString().trim();
    const texts = [readFileSync(`/proc/${pid}/environ`, "latin1"), readFileSync(`/proc/${pid}/cmdline`, "latin1")];
    for (const text of texts) expect([seed.join(" "), nsec, PASSPHRASE, "AGE-SECRET"].filter((secret) => text.includes(secret))).toEqual([]);
    expect(readFileSync(`/proc/${pid}/environ`, "latin1").split("\0").filter((line) => !/^(PWD|SHLVL|_|OLDPWD)=|^$/.test(line))).toEqual([]);
    expect(memoryHolds(pid, PASSPHRASE)).toBe(false);
    const files = readdirSync(`/proc/${pid}/fd`).map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`)).filter((path) => path.startsWith("/") && !path.startsWith("/dev/"));
    expect(files).toEqual([]);
    expect(/^Max core file size +(\d+) +(\d+)/m.exec(readFileSync(`/proc/${pid}/limits`, "utf8"))!.slice(1)).toEqual(["0", "0"]);
    const written = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile() && !entry.parentPath.includes("node_modules")).map((entry) => join(entry.parentPath, entry.name));
    expect(written.length).toBeGreaterThan(5);
    const held = written.filter((path) => [seed.join(" "), seed.join('","'), nsec].some((secret) => readFileSync(path, "latin1").includes(secret)));
    expect(held).toEqual([]);
  });

  it("has no debugger opened by a signal, which would show its memory", async () => {
    const { socket } = await unlock();
    const pid = keeperOf(folder);
    process.kill(pid, "SIGUSR1");
    expect((await askWallet(socket, { ...question, recipient: host.recipient })).sealed).toBeDefined();
    const sockets = readdirSync(`/proc/${pid}/fd`).map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`)).flatMap((path) => /^socket:\[(\d+)\]$/.exec(path)?.[1] ?? []);
    const tcp = readFileSync("/proc/net/tcp", "utf8").split("\n").filter((line) => sockets.includes(line.trim().split(/\s+/)[9] ?? ""));
    expect(tcp).toEqual([]);
  });

  it("ends with lock, in whatever shell it was unlocked, and a second lock finds none", async () => {
    const { socket } = await unlock();
    const pid = keeperOf(folder);
    expect(await lockWallets(places)).toBe(1);
    expect(existsSync(socket)).toBe(false);
    await expect.poll(() => isAlive(pid)).toBe(false);
    expect(await lockWallets(places)).toBe(0);
    expect(audit().at(-1)).toMatchObject({ action: "wallet-locked", subject: "alice-1", outcome: "done", note: "by holdfast wallet lock" });
  });

  it("ends when its time is over", async () => {
    const { socket } = await unlock("clear.age-key", 2_000);
    await gone(socket);
    await expect.poll(() => audit().at(-1)).toMatchObject({ action: "wallet-locked", note: "its time was over" });
  });

  it("ends when its shell does", async () => {
    const shell = spawn("sleep", ["60"], { stdio: "ignore" });
    const started = readFileSync(`/proc/${shell.pid}/stat`, "utf8").split(") ")[1]!.split(" ")[19]!;
    const { socket } = await unlock();
    const another = `${socket.replace(/\.wallet$/, "")}0.wallet`;
    const kept: Kept = { format: "holdfast-kept-wallet/1", environment: "prod", network: "signet", until: new Date(Date.now() + 60_000).toISOString(), nodes: [], socket: another, audit: { file: join(folder, "environments/prod/audit.jsonl"), environment: "prod" }, leader: { pid: shell.pid!, started } };
    await startKeeper(join(folder, "dist", "wallet-keeper.js"), kept);
    expect(existsSync(another)).toBe(true);
    shell.kill();
    await gone(another);
    expect(existsSync(socket)).toBe(true);
    await expect.poll(() => audit().at(-1)).toMatchObject({ action: "wallet-locked", note: "its shell has ended" });
  });

  it("keeps nothing when one identity does not open, and says which", async () => {
    const other = await newIdentity();
    await writeIdentity(join(folder, "other.age-key"), other, { form: "clear" });
    await expect(unlock("other.age-key")).rejects.toThrow(/^The lnd-seed of prod\/alice-1 does not open: .*sealed for age1/);
    expect(readdirSync(join(folder, "run"), { recursive: true }).filter((name) => String(name).endsWith(".wallet"))).toEqual([]);
    expect(audit().at(-1)).toMatchObject({ action: "wallet-unlocked", outcome: "failed" });
  });

  it("refuses a wrong passphrase", async () => {
    writeFileSync(join(folder, "passphrase"), "another one entirely", { mode: 0o600 });
    await expect(unlock("wallet.age-key")).rejects.toThrow("the passphrase is another");
  });

  it("refuses a mainnet wallet identity that lies in clear on this machine", async () => {
    writeFileSync(join(folder, "Pulumi.prod.yaml"), readFileSync(join(folder, "Pulumi.prod.yaml"), "utf8").replace("signet", "mainnet"));
    await expect(unlock()).rejects.toThrow("holds mainnet's wallet identity in clear on this machine's disk");
  });

  it("clears the socket of a keeper that was killed", async () => {
    const { socket } = await unlock();
    const pid = keeperOf(folder);
    process.kill(pid, "SIGKILL");
    await expect.poll(() => isAlive(pid)).toBe(false);
    expect(existsSync(socket)).toBe(true);
    expect(await lockWallets(places)).toBe(0);
    expect(existsSync(socket)).toBe(false);
  });

  it("says what went wrong when what is to keep it does not run", async () => {
    writeFileSync(join(folder, "dist", "wallet-keeper.js"), 'throw new Error("broken on purpose");\n');
    await expect(unlock()).rejects.toThrow(/does not run .*wallet-keeper\.js\): it ended with 1: [\s\S]*broken on purpose/);
  });
});
