import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { identityIn, openText } from "../../custody/seal.js";
import type { Bundle } from "../../formats/bundle.js";
import type { Seed } from "../../formats/identity.js";
import { namesOf } from "../../rehearsal/machines/names.js";
import { inNamespace } from "../../rehearsal/machines/processes.js";
import { newProject, type Project } from "../project.js";
import { canaryFor, patternsOf, pemLines, rootOf, sampled, type Canary, type Finding, type Samples } from "./canary.js";
import { passOf } from "./phone.js";
import { walletOf } from "./outside.js";

let project: Project;
let canary: Canary;
let samples: Samples;
let secrets: Map<string, string>;
let mnemonic: string[];
/** Newer than this is what the deployer left. */
let marker = "";
const outputs = new Map<string, string>();

const inState = (name: string): string => readFileSync(join(project.state, name), "utf8");
const machine = (): string => rootOf(inNamespace(namesOf(project.state, "alice").namespace).map(({ pid }) => pid));
const machineFolder = (part: string): string => join(project.state, "machines", "alice", part);

interface Resource {
  readonly type: string;
  readonly urn: string;
  readonly inputs?: Record<string, unknown>;
  readonly outputs?: Record<string, unknown>;
}

/** A value of `pulumi stack export --show-secrets`. */
const clear = (value: unknown): unknown => (typeof value === "object" && value !== null && "plaintext" in value ? JSON.parse(String(value.plaintext)) : value);

/** Everything that is secret about this environment, by name, as its owner gets it. */
async function collect(): Promise<Map<string, string>> {
  const shown = await project.pulumi("stack", "export", "--show-secrets", "--stack", "dev");
  const { resources } = (JSON.parse(shown.stdout) as { deployment: { resources: Resource[] } }).deployment;
  const roots = resources.filter(({ type }) => type === "random:index/randomPassword:RandomPassword").map(({ urn, outputs: made }) => [`root ${urn.split("::").at(-1)}`, String(clear(made!["result"]))] as const);
  // The rest of the key's lines is its public half, as the certificate has it.
  const secretPart = (name: string, text: string): string => (name === "lnd-key" ? pemLines(text).slice(0, 2).join("\n") : text.trim());
  const { bundle } = JSON.parse(String(clear(resources.find(({ urn }) => urn.endsWith("::alice-bundle-seal"))!.inputs!["stdin"]))) as { bundle: Bundle };
  const delivered = bundle.files.filter(({ name }) => name !== "lnd-cert").map(({ name, content }) => [`bundle ${name}`, secretPart(name, Buffer.from(content, "base64").toString())] as const);
  const installed = readdirSync(`${machine()}/etc/nix-bitcoin-secrets/`).filter((name) => name !== "lnd-cert").map((name) => [`installed ${name}`, secretPart(name, readFileSync(`${machine()}/etc/nix-bitcoin-secrets/${name}`, "utf8"))] as const);
  const passes = await Promise.all(["phone", "laptop"].map((peer) => passOf(project, peer)));
  const unlocked = await project.holdfast("env", "unlock");
  return new Map([
    ...roots, ...delivered, ...installed,
    ...passes.flatMap(({ peer, configuration, lndconnect }) => [
      [`key of ${peer}`, /^PrivateKey = (.*)$/m.exec(configuration)![1]!] as const, [`preshared key of ${peer}`, /^PresharedKey = (.*)$/m.exec(configuration)![1]!] as const,
      // Its signature: what stands before that is public.
      ["macaroon", walletOf(lndconnect).macaroon.slice(-64)] as const,
    ]),
    ["passphrase", readFileSync(/^export PULUMI_CONFIG_PASSPHRASE_FILE='(.*)'$/m.exec(unlocked.stdout)![1]!, "utf8").trim()],
    ["store password", inState("store-password").trim()],
    ...["environment", "recovery", "wallet"].map((role) => [`${role} identity`, identityIn(inState(`${role}.age-key`), role)] as const),
    ["the host's identity", identityIn(readFileSync(`${machine()}/var/lib/holdfast/identity.age-key`, "utf8"), "identity")],
    // Its first lines are the format's header and the public key.
    ["SSH key", inState("ssh_ed25519").split("\n").slice(3).join("\n")],
  ]);
}

async function seedWords(): Promise<string[]> {
  const { sealed } = JSON.parse(inState("alice.lnd-seed.json")) as { sealed: string };
  return (JSON.parse(await openText(sealed, identityIn(inState("wallet.age-key"), "wallet"))) as Seed).mnemonic;
}

/** Files below folders, by find(1). */
async function filesBelow(roots: readonly string[], { without, newerThan }: { readonly without: readonly string[]; readonly newerThan?: string }): Promise<string[]> {
  const prune = without.flatMap((path, index) => [...(index === 0 ? [] : ["-o"]), "-path", path]);
  const { stdout } = await execa("find", [...roots, "(", ...prune, ")", "-prune", "-o", "-type", "f", ...(newerThan === undefined ? [] : ["-newer", newerThan]), "-print0"], { reject: false, stdin: "ignore", timeout: 120_000, maxBuffer: 100_000_000 });
  return stdout.split("\0").filter((path) => path !== "");
}

const except = (findings: readonly Finding[], allowed: readonly RegExp[], root = ""): Finding[] =>
  findings.map(({ path, secret }) => ({ path: path.slice(root.length), secret })).filter(({ path }) => !allowed.some((one) => one.test(path)));

/** Runs a command of the project and keeps what it says. */
async function said(name: string, run: Promise<{ readonly exitCode: number; readonly output: string }>, wanted: "well" | "failed" = "well"): Promise<string> {
  const { exitCode, output } = await run;
  outputs.set(name, output);
  expect(exitCode === 0, `${name}: ${output}`).toBe(wanted === "well");
  return output;
}

/** Another store password, so that the next bundle differs from the last. */
function changeSecret(): void {
  writeFileSync(join(project.state, "store-password"), randomBytes(24).toString("base64url"));
}

/** In memory, for its user alone: the passphrase of a command while it runs, and of a shell that unlocked the environment. */
const WHILE_IT_RUNS = /^\/dev\/shm\/holdfast-\d+\/[0-9a-f]{12}-dev(\.\d+)?\.passphrase /;
const UNLOCKED = /^\/dev\/shm\/holdfast-\d+\/[0-9a-f]{12}-dev\.passphrase$/;
const MENDED = "const version = Date.now();";
const BROKEN = 'throw new Error("sealing is broken on purpose");';

beforeAll(async () => {
  marker = mkdtempSync(join(tmpdir(), "holdfast-canary-"));
  writeFileSync(join(marker, "marker"), "");
  project = await newProject();
  samples = sampled(["/tmp", "/var/tmp", "/dev/shm", `/dev/shm/holdfast-${userInfo().uid}`, `/tmp/holdfast-ssh-${userInfo().uid}`], (path) => /^\/tmp\/(holdfast-(?!ssh-)|bash_|go-build|node-compile-cache|vitest)|^\/dev\/shm\/holdfast-canary/.test(path));
  await said("holdfast up, from nothing", project.holdfast("up", "--yes"));
  const storePasswords = [inState("store-password").trim()];

  changeSecret();
  storePasswords.push(inState("store-password").trim());
  await said("holdfast preview", project.holdfast("preview"));
  await said("pulumi preview --diff", project.pulumi("preview", "--diff", "--non-interactive"));
  project.edit("components/secrets/steps/seal.ts", (text) => text.replace(MENDED, `${BROKEN} ${MENDED}`));
  expect(await said("holdfast up, sealing broken", project.holdfast("up", "--yes"), "failed")).toContain("broken on purpose");
  expect(await said("pulumi up, sealing broken", project.pulumi("up", "--yes", "--non-interactive"), "failed")).toContain("broken on purpose");
  project.edit("components/secrets/steps/seal.ts", (text) => text.replace(`${BROKEN} `, ""));

  changeSecret();
  storePasswords.push(inState("store-password").trim());
  project.edit("rehearsal/system/flake.nix", (text) => `${text}\n}`);
  expect(await said("pulumi up --diff, flake broken", project.pulumi("up", "--yes", "--non-interactive", "--diff"), "failed")).toContain("syntax error");
  project.edit("rehearsal/system/flake.nix", (text) => text.replace(/\n\}$/, ""));
  await said("holdfast up, mended", project.holdfast("up", "--yes"));
  samples.stop();
  await said("holdfast status", project.holdfast("status"));
  await said("pulumi stack", project.pulumi("stack", "--non-interactive"));
  await said("pulumi stack output", project.pulumi("stack", "output", "--json"));

  secrets = await collect();
  storePasswords.forEach((value, index) => secrets.set(`store password ${index + 1}`, value));
  mnemonic = await seedWords();
  canary = canaryFor(patternsOf(secrets, mnemonic));
});

afterAll(async () => {
  samples?.stop();
  canary?.remove();
  rmSync(marker, { recursive: true, force: true });
  if (process.env["HOLDFAST_KEEP"] === undefined) expect(await project.remove()).toEqual([]);
});

describe("no secret value", () => {
  it("is known too few of to make this a test", () => {
    expect(mnemonic).toHaveLength(24);
    expect([...secrets.keys()].filter((name) => name.startsWith("root ")).length).toBeGreaterThanOrEqual(8);
    expect([...secrets.keys()].filter((name) => name.startsWith("bundle ")).length).toBeGreaterThanOrEqual(10);
    for (const [name, value] of secrets) expect(value.length, name).toBeGreaterThanOrEqual(20);
  });

  it("is in the stack's export, nor in any file of its state", async () => {
    const exported = await project.pulumi("stack", "export", "--stack", "dev");
    expect(await canary.searchTexts(new Map([["export", exported.stdout]]))).toEqual([]);
    expect(await canary.search([join(project.folder, ".holdfast", "state")])).toEqual([]);
  });

  it("is in what preview, up and failing steps say", async () => {
    expect([...outputs.keys()].length).toBeGreaterThan(8);
    expect(await canary.searchTexts(outputs)).toEqual([]);
  });

  it("is in arguments or environments of any process while nodes are raised, nor in files that came and went", async () => {
    console.log(`${samples.passes()} looks at ${samples.processes()} processes, ${samples.files.size} passing files`);
    expect(samples.passes()).toBeGreaterThan(100);
    expect(samples.text()).toContain("holdfast-agent");
    for (const step of ["hold", "certify", "reach", "install", "contact", "seal", "deliver", "activate", "open"]) expect(samples.text()).toContain(`dist/steps/${step}.js`);
    expect(await canary.searchTexts(new Map([["samples", samples.text()]]))).toEqual([]);
    expect([...samples.files.keys()].filter((path) => path.includes("automation-logs"))).toEqual([]);
    expect([...samples.files.keys()].some((path) => WHILE_IT_RUNS.test(path)), "the watch saw the passphrase's own file").toBe(true);
    expect(except(await canary.searchTexts(samples.files), [WHILE_IT_RUNS])).toEqual([]);
  });

  it("is in the machine's Nix store or its database", async () => {
    expect(await canary.search([`${machine()}/nix`])).toEqual([]);
  });

  it("is in the machine's journal or on its console", async () => {
    const journal = await project.ssh("alice", "journalctl --all --no-pager -o export");
    expect(journal.stdout).toContain("holdfast-agent");
    expect(await canary.searchTexts(new Map([["journal", journal.stdout]]))).toEqual([]);
    expect(await canary.search([machineFolder("console.log")])).toEqual([]);
  });

  it("is elsewhere on the machine than with those who use it, and the seed is nowhere", async () => {
    const root = machine();
    const findings = await canary.search(["etc", "var", "root", "home", "srv", "tmp", "run", "dev/shm"].map((name) => `${root}/${name}`));
    expect(findings.filter(({ secret }) => secret === "seed")).toEqual([]);
    expect(except(findings, [
      /^\/etc\/nix-bitcoin-secrets\.d\/\d+\//, /^\/var\/lib\/holdfast\/identity\.age-key$/,
      // In memory: daemons' configurations, systemd's copies for a service alone, restic's address.
      /^\/run\/(lnd\/lnd|btcd\/btcd)\.conf$/, /^\/run\/credentials\//, /^\/run\/holdfast\/backup-repository$/,
    ], root)).toEqual([]);
  });

  it("is left in a file of the project or of this machine, but in those that are made to hold it", async () => {
    const machines = [machineFolder("root"), machineFolder("upper"), machineFolder("work")];
    const inProject = await canary.search(await filesBelow([project.folder], { without: machines }));
    expect(except(inProject, [/^\/\.holdfast\/dev\/((environment|recovery|wallet)\.age-key|ssh_ed25519|store-password)$/], project.folder)).toEqual([]);
    const elsewhere = await filesBelow(["/tmp", "/var/tmp", "/var/log", "/dev/shm", "/run", "/root"], {
      without: ["/tmp/holdfast-project-*", "/dev/shm/holdfast-canary-*", "*/machines/*/upper", "*/machines/*/root", "*/machines/*/work", "/run/netns"], newerThan: join(marker, "marker"),
    });
    expect(except(await canary.search(elsewhere), [UNLOCKED])).toEqual([]);
  });

  it("is in what the backup store keeps", async () => {
    expect(await canary.search([join(project.state, "store")])).toEqual([]);
  });
});

describe("the same search", () => {
  const value = (name: string): string => secrets.get(name)!;
  const four = (): string => mnemonic.slice(9, 13).join(" ");

  it("finds an argument and an environment of a process", async () => {
    const planted = sampled([], () => true);
    const encoded = Buffer.from(`alice:${value("bundle backup-store-password")}`).toString("base64");
    const children = [
      spawn("sh", ["-c", "sleep 1; :", value("bundle lnd-wallet-password")], { env: { PATH: process.env["PATH"] ?? "" } }),
      spawn("sleep", ["1"], { env: { PATH: process.env["PATH"] ?? "", AUTHORIZATION: encoded, WORDS: four() } }),
    ];
    await Promise.all(children.map((child) => new Promise((done) => child.once("exit", done))));
    planted.stop();
    const found = (await canary.searchTexts(new Map([["samples", planted.text()]]))).map(({ secret }) => secret);
    expect(found).toEqual(expect.arrayContaining([expect.stringMatching(/lnd-wallet-password$/), expect.stringMatching(/^store password/), "seed"]));
  });

  it("finds a file that came and went", async () => {
    const folder = mkdtempSync(join(tmpdir(), "holdfast-watched-"));
    const planted = sampled([folder], () => false);
    writeFileSync(join(folder, "events"), JSON.stringify({ stdin: JSON.stringify(mnemonic) }));
    await new Promise((done) => setTimeout(done, 300));
    rmSync(folder, { recursive: true });
    planted.stop();
    expect(await canary.searchTexts(planted.files)).toMatchObject([{ path: expect.stringContaining("/events "), secret: "seed" }]);
  });

  it("finds a file in the Nix store, in memory and on the machine's disk", async () => {
    const disk = machineFolder("root");
    for (const [path, text] of [["nix/store/zzzz-canary", value("macaroon")], ["var/lib/lnd/canary", four()]] as const) {
      writeFileSync(join(disk, path), `x${text}x`);
      expect((await canary.search([`${machine()}/${path.split("/")[0]}`])).filter((one) => one.path.endsWith(path))).toHaveLength(1);
      rmSync(join(disk, path));
    }
    await project.ssh("alice", `echo '${value("bundle lnd-macaroon-root-key")}' | xxd -r -p | base64 -w0 > /run/canary; test -s /run/canary || echo '${value("bundle lnd-macaroon-root-key")}' > /run/canary`);
    expect((await canary.search([`${machine()}/run`])).filter(({ path }) => path.endsWith("/run/canary"))).toHaveLength(1);
  });

  it("finds a line of the journal", async () => {
    await project.ssh("alice", `logger 'the password is ${value("bundle backup-password")}'`);
    const journal = await project.ssh("alice", "journalctl --all --no-pager --sync >/dev/null; journalctl --all --no-pager -o export");
    expect((await canary.searchTexts(new Map([["journal", journal.stdout]]))).map(({ secret }) => secret)).toEqual(expect.arrayContaining([expect.stringMatching(/backup-password$/)]));
  });

  it("finds a value in a copy of the state, in an output and in the store", async () => {
    const exported = await project.pulumi("stack", "export", "--stack", "dev");
    const planted = exported.stdout.replace(/"stdin": \{/, () => `"stdin": ${JSON.stringify(JSON.stringify({ key: value("bundle lnd-key") }))}, "was": {`);
    expect(planted).not.toBe(exported.stdout);
    expect(await canary.searchTexts(new Map([["export", planted]]))).not.toEqual([]);
    const told = new Map([...secrets].map(([name, one]) => [name, `error: ${JSON.stringify({ input: one })}`]));
    expect(new Set((await canary.searchTexts(told)).map(({ path }) => path))).toEqual(new Set(secrets.keys()));
    const file = join(project.state, "store", "canary");
    writeFileSync(file, encodeURIComponent(value("passphrase")));
    expect(await canary.search([join(project.state, "store")])).toEqual([{ path: file, secret: "passphrase" }]);
    rmSync(file);
  });
});
