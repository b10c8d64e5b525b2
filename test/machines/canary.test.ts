import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { memoryHolds } from "../memory.js";
import { newProject, type Project } from "../project.js";
import { canaryFor, except, filesBelow, patternsOf, sampled, type Canary, type Samples } from "./canary.js";
import { collect, escrow, keepersOf, lockWallet, machineOf, seedWords, shell, type Said, type Trustee } from "./canaryDeeds.js";

let project: Project;
let canary: Canary;
let samples: Samples;
let secrets: Map<string, string>;
let mnemonic: string[];
/** Nothing that was made here has it on the disk: the wallet's file is behind a passphrase, as on mainnet. */
let walletIdentity = "";
/** Those who keep shares, somewhere else. */
let trustees: readonly Trustee[] = [];
/** Newer than this is what the deployer left. */
let marker = "";
const outputs = new Map<string, string>();

const inState = (name: string): string => readFileSync(join(project.state, name), "utf8");
const inRecords = (name: string): string => join(project.state, name);
const machine = (): string => machineOf(project);
const machineFolder = (part: string): string => join(project.state, "machines", "alice", part);

/** Runs a command of the project and keeps what it says. */
const said: Said = async (name, run, wanted = "well") => {
  const { exitCode, output } = await run;
  outputs.set(name, output);
  expect(exitCode === 0, `${name}: ${output}`).toBe(wanted === "well");
  return output;
};

/** Another store password, so that the next bundle differs from the last. */
function changeSecret(): void {
  writeFileSync(join(project.state, "store-password"), randomBytes(24).toString("base64url"));
}

const WALLET_PASSPHRASE = randomBytes(24).toString("base64url");
/** In memory, for its user alone: the passphrase of a command while it runs, and of a shell that unlocked the environment. */
const WHILE_IT_RUNS = /^\/dev\/shm\/holdfast-\d+\/[0-9a-f]{12}-dev((\.rotation|\.vault)?\.\d+)?\.passphrase /;
const UNLOCKED = /^\/dev\/shm\/holdfast-\d+\/[0-9a-f]{12}-dev\.passphrase$/;
const MENDED = "const version = Date.now();";
const BROKEN = 'throw new Error("sealing is broken on purpose");';

beforeAll(async () => {
  marker = mkdtempSync(join(tmpdir(), "holdfast-canary-"));
  writeFileSync(join(marker, "marker"), "");
  project = await newProject();
  samples = sampled(["/tmp", "/var/tmp", "/dev/shm", `/dev/shm/holdfast-${userInfo().uid}`, `/tmp/holdfast-ssh-${userInfo().uid}`], (path) => /^\/tmp\/(holdfast-(?!ssh-)|bash_|go-build|node-compile-cache|vitest)|^\/dev\/shm\/holdfast-canary/.test(path));
  await said("holdfast machine create", project.holdfast("machine", "create", "--yes"));
  const passphraseFile = join(marker, "wallet-passphrase");
  walletIdentity = await lockWallet(project, WALLET_PASSPHRASE, passphraseFile);
  await said("holdfast up, from nothing, in a shell with an unlocked wallet", shell(project, `eval "$(holdfast wallet unlock --passphrase-file '${passphraseFile}' --for 60m)"`, "holdfast up --yes"));
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
  secrets = await collect(project, walletIdentity, "at first");
  mnemonic = await seedWords(project, walletIdentity);

  await said("holdfast rotate age environment", project.holdfast("rotate", "age", "environment", "--yes"));
  await said("holdfast rotate ssh", project.holdfast("rotate", "ssh", "--yes"));
  await said("holdfast rotate secret --all", project.holdfast("rotate", "secret", "--all", "--yes"));
  const escrowed = await escrow(project, said, marker);
  trustees = escrowed.trustees;
  expect(escrowed.recovered).toBe(secrets.get("recovery identity, at first"));
  await said("holdfast rotate wireguard, cut short", project.holdfast("rotate", "wireguard", "phone", "--within", "1s", "--output", join(marker, "phone.conf"), "--yes"), "failed");
  const next = readFileSync(join(marker, "phone.conf"), "utf8");
  for (const kind of ["PrivateKey", "PresharedKey"]) secrets.set(`${kind} of phone, next`, new RegExp(`^${kind} = (.*)$`, "m").exec(next)![1]!);
  for (const [name, value] of [...escrowed.secrets, ...await collect(project, walletIdentity, "rotated")]) secrets.set(name, value);
  samples.stop();
  await said("holdfast audit verify", project.holdfast("audit", "verify"));
  await said("holdfast audit show", project.holdfast("audit", "show", "--last", "500"));
  await said("holdfast env check", project.holdfast("env", "check"));
  await said("holdfast status", project.holdfast("status"));
  await said("pulumi stack", project.pulumi("stack", "--non-interactive"));
  await said("pulumi stack output", project.pulumi("stack", "output", "--json"));

  storePasswords.forEach((value, index) => secrets.set(`store password ${index + 1}`, value));
  secrets.set("wallet passphrase", WALLET_PASSPHRASE);
  canary = canaryFor(patternsOf(secrets, mnemonic));
});

afterAll(async () => {
  samples?.stop();
  await project.holdfast("wallet", "lock");
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
    for (const name of ["environment identity", "SSH key", "passphrase", "bundle lnd-key", "installed wg-node-private-key"]) expect(secrets.get(`${name}, rotated`), name).not.toBe(secrets.get(`${name}, at first`));
    expect([...secrets.keys()]).toEqual(expect.arrayContaining(["recovery identity, at first", "wallet identity, rotated", "share of ada", "share of ben", "share of cyd", "one-time identity"]));
  });

  it("is in the audit log, the records, the escrow's kit and pages, the journal of a rotation, or the deposit", async () => {
    const deposit = join(project.folder, "deposit", "dev");
    const deposited = readdirSync(join(deposit, "dev", "alice")).filter((name) => name.endsWith(".roots.age"));
    expect(deposited.length).toBeGreaterThanOrEqual(2);
    const written = ["audit.jsonl", "audit.jsonl.head", "passphrase.age", "versions.json", "marks.json", "rotation.json", "escrow/kit.json", ...trustees.flatMap(({ name }) => [`escrow/${name}.age`, `escrow/${name}.html`])].map(inRecords);
    for (const path of written) expect(existsSync(path), path).toBe(true);
    expect(existsSync(join(project.state, "recovery.age-key"))).toBe(false);
    const log = readFileSync(inRecords("audit.jsonl"), "utf8");
    for (const action of ["environment-unlocked", "wallet-unlocked", "identity-resealed", "bundle-delivered", "roots-deposited", "escrow-created", "escrow-drilled", "escrow-recovered", "age-rotated", "ssh-rotated", "secret-rotated", "wireguard-rotated"]) expect(log).toContain(action);
    expect(await canary.search([...written, deposit])).toEqual([]);
  });

  it("is in the process that keeps the unlocked wallet but in its memory, which no core dump shows", async () => {
    const [keeper, ...others] = keepersOf(project);
    expect(others).toEqual([]);
    expect(memoryHolds(keeper!, mnemonic.slice(4, 9).join('","'))).toBe(true);
    expect(await canary.search(["environ", "cmdline", "limits", "fdinfo"].map((name) => `/proc/${keeper}/${name}`))).toEqual([]);
    expect(readFileSync(`/proc/${keeper}/limits`, "utf8")).toMatch(/^Max core file size +0 +0/m);
  });

  it("is in the stack's export, nor in any file of its state", async () => {
    const exported = await project.pulumi("stack", "export", "--stack", "dev");
    expect(await canary.searchTexts(new Map([["export", exported.stdout]]))).toEqual([]);
    expect(await canary.search([join(project.folder, ".holdfast", "state")])).toEqual([]);
  });

  it("is in what preview, up and failing steps say", async () => {
    expect([...outputs.keys()].length).toBeGreaterThan(20);
    expect(outputs.get("holdfast status")).toMatch(/backup +\d+ \w+ ago \(sequence \d+\)[^]*keys\n[^]*age environment, .*passphrase[^]*! The rotation of wireguard alice\/phone is under way/);
    expect(await canary.searchTexts(outputs)).toEqual([]);
  });

  it("is in arguments or environments of any process while nodes are raised, nor in files that came and went", async () => {
    console.log(`${samples.passes()} looks at ${samples.processes()} processes, ${samples.files.size} passing files`);
    expect(samples.passes()).toBeGreaterThan(100);
    expect(samples.text()).toContain("holdfast-agent");
    for (const step of ["hold", "certify", "reach", "install", "contact", "seal", "deliver", "activate", "open", "deposit"]) expect(samples.text()).toContain(`dist/steps/${step}.js`);
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
    expect(except(inProject, [/^\/\.holdfast\/dev\/(environment\.age-key|ssh_ed25519|store-password)$/], project.folder)).toEqual([]);
    const elsewhere = await filesBelow(["/tmp", "/var/tmp", "/var/log", "/dev/shm", "/run", "/root"], {
      without: ["/tmp/holdfast-project-*", `${marker}/*`, "/dev/shm/holdfast-canary-*", "*/machines/*/upper", "*/machines/*/root", "*/machines/*/work", "/run/netns"], newerThan: join(marker, "marker"),
    });
    expect(except(await canary.search(elsewhere), [UNLOCKED])).toEqual([]);
  });

  it("is in what the backup store keeps", async () => {
    expect(await canary.search([join(project.state, "store")])).toEqual([]);
  });
});

describe("the same search", () => {
  const value = (name: string): string => secrets.get(name) ?? secrets.get(`${name}, rotated`)!;
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
    expect(found).toEqual(expect.arrayContaining([expect.stringMatching(/lnd-wallet-password/), expect.stringMatching(/^store password/), "seed"]));
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
    expect((await canary.searchTexts(new Map([["journal", journal.stdout]]))).map(({ secret }) => secret)).toEqual(expect.arrayContaining([expect.stringMatching(/backup-password/)]));
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
    expect(await canary.search([join(project.state, "store")])).toEqual([{ path: file, secret: "passphrase, rotated" }]);
    rmSync(file);
  });

  it("finds a share in a copy of the audit log, a recovery identity in a copy of a trustee's page, and a root in one of the deposit", async () => {
    const [deposited] = readdirSync(join(project.folder, "deposit/dev/dev/alice"));
    const copies = new Map([
      ["log", `${readFileSync(inRecords("audit.jsonl"), "utf8")}{"note":"${value("share of ben")}"}\n`],
      ["page", readFileSync(inRecords("escrow/ada.html"), "utf8").replace("</body>", `<p>${value("recovery identity, at first")}</p></body>`)],
      ["deposit", `${readFileSync(join(project.folder, "deposit/dev/dev/alice", deposited!), "latin1")}${Buffer.from(JSON.stringify({ value: value([...secrets.keys()].find((name) => /^root .*, rotated$/.test(name))!) })).toString("base64")}`],
    ]);
    expect((await canary.searchTexts(copies)).map(({ path, secret }) => `${path}: ${secret.split(" ")[0]}`).sort()).toEqual(["deposit: root", "log: share", "page: recovery"]);
  });

  it("finds the wallet's identity in a process of its own", async () => {
    const child = spawn("sleep", ["5"], { env: { PATH: process.env["PATH"] ?? "", KEY: walletIdentity } });
    // Between fork and exec it has this process's own.
    await expect.poll(async () => (await canary.search([`/proc/${child.pid}/environ`])).map(({ secret }) => secret)).toEqual([expect.stringMatching(/^wallet identity/)]);
    child.kill();
  });
});
