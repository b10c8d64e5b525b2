import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { parse } from "yaml";
import { checkEnvironments } from "../../../cli/envCheck.js";
import { createEnvironment, type Creation } from "../../../cli/envCreate.js";
import { ensureRehearsalKeys, lockPassphrase, unlockPassphrase } from "../../../cli/keys.js";
import { forgetTunnels, noteMarks } from "../../../cli/marks.js";
import { askNewPassphrase, askPassphrase } from "../../../cli/passphrase.js";
import { auditLog, identityPath, placesOf, recordsFolder, type Places } from "../../../cli/places.js";
import { readLog } from "../../../custody/audit/log.js";
import { formOf, identityOf } from "../../../custody/identityFile.js";
import { sealedPassphrase } from "../../../custody/passphrase.js";
import { readMarks, writeMarks } from "../../../custody/records.js";
import { newIdentity, openText, sealText } from "../../../custody/seal.js";

const nobody = () => Promise.reject(new Error("asked though nothing was to be asked"));
const usual: Creation = { network: "testnet4", kind: "classical", identity: "file", walletRecipient: undefined, node: "alice", passphrases: { infrastructure: nobody, wallet: nobody } };
const words = (infrastructure: string, wallet: string) => ({ infrastructure: () => Promise.resolve(infrastructure), wallet: () => Promise.resolve(wallet) });
const PASSPHRASES = words("passphrase of the machine", "passphrase of the wallet");

let project: string;
beforeEach(() => {
  project = mkdtempSync(join(tmpdir(), "holdfast-env-"));
  mkdirSync(join(project, "memory"));
  vi.stubEnv("XDG_RUNTIME_DIR", join(project, "memory"));
  writeFileSync(join(project, "Pulumi.yaml"), "name: holdfast\nruntime: nodejs\n");
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(project, { recursive: true, force: true });
});
const places = (name: string): Places => placesOf(project, name);
const stackOf = (name: string) => parse(readFileSync(join(project, `Pulumi.${name}.yaml`), "utf8")) as { readonly config: Record<string, Record<string, unknown>> };
const recipientsOf = (name: string) => stackOf(name).config["holdfast:recipients"] as Record<"environment" | "recovery" | "wallet", string>;
const auditOf = async (name: string): Promise<string[]> => (await readLog(auditLog(places(name)))).lines.map(({ action, outcome }) => `${action} ${outcome}`);
const fileOf = (name: string, path: string): string => readFileSync(join(project, path.replace("NAME", name)), "utf8");

describe("creating an environment", () => {
  it("makes three identities, a sealed passphrase, marks and a stack file whose recipients are theirs", async () => {
    const { made, warnings } = await createEnvironment(places("testnet"), usual);
    expect(made).toHaveLength(5);
    expect(warnings.join()).toContain("holdfast escrow create -s testnet");
    const sealed = readFileSync(sealedPassphrase(recordsFolder(places("testnet"))), "utf8");
    const opened: string[] = [];
    for (const role of ["environment", "recovery", "wallet"] as const) {
      const file = identityPath(places("testnet"), role);
      expect(statSync(file).mode & 0o777).toBe(0o600);
      const identity = await identityOf(file, nobody);
      if (role === "wallet") await expect(openText(sealed, identity)).rejects.toThrow();
      else opened.push(await openText(sealed, identity));
      expect(await openText(await sealText(role, recipientsOf("testnet")[role]), identity)).toBe(role);
    }
    expect(new Set(opened).size).toBe(1);
    expect(Object.keys(readMarks(recordsFolder(places("testnet"))).made).sort()).toEqual(["environment", "passphrase", "recovery", "wallet"]);
    expect(await auditOf("testnet")).toEqual(["environment-created begun", "environment-created done"]);
  });

  it("leaves all as it is when it is run again, and no line in the log", async () => {
    await createEnvironment(places("testnet"), usual);
    const files = ["Pulumi.NAME.yaml", ".holdfast/NAME/environment.age-key", "environments/NAME/passphrase.age", "environments/NAME/marks.json"];
    const before = files.map((path) => fileOf("testnet", path));
    expect((await createEnvironment(places("testnet"), { ...usual, kind: "classical" })).made).toEqual([]);
    expect(files.map((path) => fileOf("testnet", path))).toEqual(before);
    expect(await auditOf("testnet")).toHaveLength(2);
  });

  it("fills in a stack file that is there, and gives a new one a tunnel network that no other has", async () => {
    const template = readFileSync("Pulumi.testnet.yaml", "utf8");
    writeFileSync(join(project, "Pulumi.testnet.yaml"), template);
    await createEnvironment(places("testnet"), { ...usual, network: undefined });
    expect(readFileSync(join(project, "Pulumi.testnet.yaml"), "utf8").replaceAll(/age1[a-z0-9]{58}/g, "age1-REPLACE-ME")).toBe(template);
    await createEnvironment(places("signet"), { ...usual, network: "signet" });
    expect(stackOf("signet").config["holdfast:nodes"]).toMatchObject({ alice: { tunnel: { network: "10.10.0.0/24" } } });
    await createEnvironment(places("another"), { ...usual, network: "signet" });
    expect(stackOf("another").config["holdfast:nodes"]).toMatchObject({ alice: { tunnel: { network: "10.12.0.0/24" } } });
    expect(checkEnvironments(project).flatMap(({ findings }) => findings)).toEqual([]);
  });

  it("makes hybrid identities when it is told to", async () => {
    await createEnvironment(places("testnet"), { ...usual, kind: "hybrid" });
    for (const recipient of Object.values(recipientsOf("testnet"))) expect(recipient).toMatch(/^age1pq1/);
    expect((await unlockPassphrase(places("testnet"), "shell"))).toBeDefined();
  });

  it("on mainnet keeps the wallet identity behind a passphrase of its own, whatever was asked, and warns of the others", async () => {
    await expect(createEnvironment(places("prod"), { ...usual, network: "mainnet", identity: "passphrase", passphrases: words("one and the same", "one and the same") })).rejects.toThrow("whoever has one would have both");
    expect(existsSync(identityPath(places("prod"), "environment"))).toBe(false);
    const { warnings } = await createEnvironment(places("prod"), { ...usual, network: "mainnet", passphrases: PASSPHRASES });
    expect(["environment", "recovery", "wallet"].map((role) => formOf(identityPath(places("prod"), role as "wallet")))).toEqual(["clear", "clear", "passphrase"]);
    expect(warnings[0]).toContain("mainnet's environment identity in clear");
    await expect(identityOf(identityPath(places("prod"), "wallet"), () => PASSPHRASES.infrastructure())).rejects.toThrow("the passphrase is another");
    expect(await identityOf(identityPath(places("prod"), "wallet"), () => PASSPHRASES.wallet())).toMatch(/^AGE-SECRET-KEY-/);
  });

  it("on mainnet refuses a wallet identity that lies there in clear", async () => {
    const wallet = await newIdentity();
    writeFileSync(identityPath(places("prod"), "wallet"), `${wallet.identity}\n`, { mode: 0o600 });
    await expect(createEnvironment(places("prod"), { ...usual, network: "mainnet" })).rejects.toThrow("wallet identity in clear on this machine");
    expect(existsSync(join(project, "Pulumi.prod.yaml"))).toBe(false);
  });

  it("takes a wallet recipient that was made elsewhere, and has no identity for it", async () => {
    const wallet = await newIdentity();
    await createEnvironment(places("prod"), { ...usual, network: "mainnet", identity: "passphrase", walletRecipient: wallet.recipient, passphrases: PASSPHRASES });
    expect(recipientsOf("prod").wallet).toBe(wallet.recipient);
    expect(existsSync(identityPath(places("prod"), "wallet"))).toBe(false);
    expect(checkEnvironments(project)[0]!.identities).toEqual({ environment: "passphrase", recovery: "passphrase", wallet: "elsewhere" });
  });

  it.each<[string, () => Promise<Partial<Creation>>, string]>([
    ["a wallet recipient of another kind", async () => ({ walletRecipient: (await newIdentity("hybrid")).recipient }), "as weak as the first"],
    ["a token's recipient among hybrid ones", async () => ({ kind: "hybrid", identity: { recipient: `age1yubikey1${"q".repeat(60)}` } }), "as weak as the first"],
    ["another environment's recipient", async () => ({ walletRecipient: recipientsOf("testnet").recovery }), "belongs to environment testnet (its holdfast:recipients.recovery)"],
    ["no network", async () => ({ network: undefined }), "--network"],
  ])("refuses %s, and makes nothing", async (_, change, message) => {
    await createEnvironment(places("testnet"), usual);
    await expect(createEnvironment(places("other"), { ...usual, ...await change() })).rejects.toThrow(message);
    for (const path of ["Pulumi.other.yaml", "environments/other", ".holdfast/other/environment.age-key"]) expect(existsSync(join(project, path))).toBe(false);
  });

  it("refuses another network than the stack file's, a name that is none, and a stack file that names another recipient than the identity here", async () => {
    await createEnvironment(places("testnet"), usual);
    await expect(createEnvironment(places("testnet"), { ...usual, network: "signet" })).rejects.toThrow("never changes its network");
    await expect(createEnvironment({ ...places("testnet"), environment: "Test!" }, usual)).rejects.toThrow("is no name for an environment");
    const file = join(project, "Pulumi.testnet.yaml");
    writeFileSync(file, readFileSync(file, "utf8").replace(recipientsOf("testnet").wallet, (await newIdentity()).recipient));
    await expect(createEnvironment(places("testnet"), usual)).rejects.toThrow(/wallet recipient is not clear: the identity in .* and holdfast:recipients.wallet differ/);
  });

  it("never makes a new passphrase for a stack that was used with another", async () => {
    await createEnvironment(places("testnet"), usual);
    rmSync(sealedPassphrase(recordsFolder(places("testnet"))));
    writeFileSync(join(project, "Pulumi.testnet.yaml"), `encryptionsalt: v1:x\n${fileOf("testnet", "Pulumi.NAME.yaml")}`);
    await expect(createEnvironment(places("testnet"), usual)).rejects.toThrow("Bring the file back from version control");
  });
});

describe("unlocking an environment", () => {
  it("leaves the passphrase in a file of memory that is this user's alone, with lines in the log, until it is locked", async () => {
    await createEnvironment(places("testnet"), usual);
    const file = (await unlockPassphrase(places("testnet"), "shell"))!;
    expect(file.startsWith(join(project, "memory"))).toBe(true);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(readFileSync(file, "utf8")).toHaveLength(43);
    expect((await auditOf("testnet")).slice(2)).toEqual(["environment-unlocked begun", "environment-unlocked done"]);
    lockPassphrase(places("testnet"));
    expect(existsSync(file)).toBe(false);
  });

  it("happens once for a shell: a command takes what is unlocked, and opens it itself otherwise", async () => {
    await createEnvironment(places("testnet"), { ...usual, identity: "passphrase", passphrases: PASSPHRASES });
    const ask = vi.fn(() => PASSPHRASES.infrastructure());
    const kept = await unlockPassphrase(places("testnet"), "shell", { ask });
    expect(await unlockPassphrase(places("testnet"), "command", { ask })).toBe(kept);
    expect(ask).toHaveBeenCalledOnce();
    vi.stubEnv("PULUMI_CONFIG_PASSPHRASE", readFileSync(kept!, "utf8"));
    lockPassphrase(places("testnet"));
    expect(await unlockPassphrase(places("testnet"), "command", { ask })).toBeUndefined();
    vi.stubEnv("PULUMI_CONFIG_PASSPHRASE", "another");
    expect(await unlockPassphrase(places("testnet"), "command", { ask })).not.toBe(kept);
    expect(ask).toHaveBeenCalledTimes(2);
  });

  it("with another environment's identity is refused, and leaves a line that says so", async () => {
    await createEnvironment(places("testnet"), usual);
    await createEnvironment(places("prod"), { ...usual, network: "mainnet", passphrases: PASSPHRASES });
    await expect(unlockPassphrase(places("prod"), "shell", { identityFile: identityPath(places("testnet"), "environment"), ask: nobody })).rejects.toThrow(/passphrase\.age was not opened with .*testnet\/environment\.age-key/);
    expect(await auditOf("prod")).toContain("environment-unlocked failed");
  });

  it("is refused when the passphrase is another environment's, though it was sealed for this one", async () => {
    await createEnvironment(places("testnet"), usual);
    await createEnvironment(places("prod"), { ...usual, network: "mainnet", passphrases: PASSPHRASES });
    const testnet = await openText(readFileSync(sealedPassphrase(recordsFolder(places("testnet"))), "utf8"), await identityOf(identityPath(places("testnet"), "environment"), nobody));
    writeFileSync(sealedPassphrase(recordsFolder(places("prod"))), await sealText(testnet, recipientsOf("prod").environment));
    await expect(unlockPassphrase(places("prod"), "shell")).rejects.toThrow("found the passphrase of environment testnet");
    await expect(unlockPassphrase(places("prod"), "command")).rejects.toThrow("wants that of prod");
  });
});

describe("a rehearsal's keys", () => {
  beforeEach(() => writeFileSync(join(project, "Pulumi.dev.yaml"), readFileSync("Pulumi.dev.yaml", "utf8")));

  it("are made once, the passphrase for environment and recovery, with its marks", async () => {
    await ensureRehearsalKeys(places("dev"));
    const marks = readMarks(recordsFolder(places("dev")));
    expect(recordsFolder(places("dev"))).toBe(places("dev").state);
    expect(Object.keys(marks.made).sort()).toEqual(["environment", "passphrase", "recovery", "ssh", "wallet"]);
    const sealed = fileOf("dev", ".holdfast/NAME/passphrase.age");
    const opened = await Promise.all((["environment", "recovery"] as const).map(async (role) => openText(sealed, await identityOf(identityPath(places("dev"), role), nobody))));
    expect(opened[0]).toBe(opened[1]);
    await ensureRehearsalKeys(places("dev"));
    expect(fileOf("dev", ".holdfast/NAME/passphrase.age")).toBe(sealed);
    expect(readMarks(recordsFolder(places("dev")))).toEqual(marks);
  });

  it("of a time before marks go on working: the passphrase stays, and gets its mark and its second recipient", async () => {
    await ensureRehearsalKeys(places("dev"));
    const { state } = places("dev");
    const environment = await identityOf(identityPath(places("dev"), "environment"), nobody);
    rmSync(join(state, "marks.json"));
    writeFileSync(join(state, "passphrase.age"), await sealText("an old passphrase", /age1\S+/.exec(readFileSync(identityPath(places("dev"), "environment"), "utf8"))![0]));
    expect(readFileSync((await unlockPassphrase({ ...places("dev") }, "command"))!, "utf8")).toBe("an old passphrase");
    rmSync(join(state, "marks.json"));
    await ensureRehearsalKeys(places("dev"));
    for (const identity of [environment, await identityOf(identityPath(places("dev"), "recovery"), nobody)]) expect(await openText(readFileSync(join(state, "passphrase.age"), "utf8"), identity)).toBe("an old passphrase");
    expect(readMarks(state).passphrase).toBeDefined();
  });
});

describe("marks of tunnels", () => {
  const outputs = (publicKey: string) => ({ nodes: { secret: false, value: { alice: { tunnel: { publicKey } } } } });
  const stack = { nodes: [{ id: "alice-1", name: "alice" }] } as unknown as Parameters<typeof noteMarks>[1];

  it("are noted by a node's id after an update, once, and forgotten with the state", async () => {
    const records = recordsFolder(places("testnet"));
    writeMarks(records, { ...readMarks(records), made: { ssh: "2026-01-01T00:00:00.000Z" } });
    noteMarks(places("testnet"), stack, outputs("key="), new Date("2026-11-21T00:00:00Z"));
    expect(readMarks(records)).toMatchObject({ tunnels: { "alice-1": "key=" }, made: { "tunnel-alice-1": "2026-11-21T00:00:00.000Z" } });
    noteMarks(places("testnet"), stack, outputs("key="));
    expect(readMarks(records).made["tunnel-alice-1"]).toBe("2026-11-21T00:00:00.000Z");
    noteMarks(places("testnet"), stack, {});
    forgetTunnels(places("testnet"));
    expect(readMarks(records)).toMatchObject({ tunnels: {}, made: { ssh: "2026-01-01T00:00:00.000Z" } });
    expect(readMarks(records).made["tunnel-alice-1"]).toBeUndefined();
  });
});

describe("checking environments", () => {
  const planted = async (): Promise<void> => {
    await createEnvironment(places("testnet"), usual);
    await createEnvironment(places("signet"), { ...usual, network: "signet" });
  };
  const findings = (): string[] => checkEnvironments(project).flatMap((one) => one.findings.map(({ path, wanted }) => `${one.environment}: ${path} ${wanted}`));
  const change = (path: string, edit: (text: string) => string): void => writeFileSync(join(project, path), edit(readFileSync(join(project, path), "utf8")));
  const hostKey = `ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI${"h".repeat(43)}`;

  it.each<[string, () => void, string]>([
    ["recipient", () => change("Pulumi.signet.yaml", (text) => text.replace(recipientsOf("signet").recovery, recipientsOf("testnet").environment)), "holdfast:recipients.recovery"],
    ["passphrase", () => change("environments/signet/marks.json", (text) => text.replace(/[0-9a-f]{64}/, readMarks(recordsFolder(places("testnet"))).passphrase!)), "environments/signet/marks.json: passphrase"],
    ["SSH host key", () => { for (const name of ["testnet", "signet"]) change(`Pulumi.${name}.yaml`, (text) => text.replace("hostKey: ssh-ed25519 REPLACE-ME", `hostKey: ${hostKey}`)); }, "hostKey"],
    ["WireGuard key", () => { for (const name of ["testnet", "signet"]) change(`environments/${name}/marks.json`, (text) => text.replace('"tunnels": {}', '"tunnels": { "alice": "key=" }')); }, "tunnels.alice"],
    ["address range", () => change("Pulumi.signet.yaml", (text) => text.replace(/network: 10\.\d+\.0\.0\/24/, "network: 10.0.0.0/8")), "tunnel.network"],
  ])("finds a shared %s, in both environments, and nothing before it was planted", async (_, plant, path) => {
    await planted();
    expect(findings()).toEqual([]);
    plant();
    expect(findings()).toEqual([expect.stringMatching(new RegExp(`^signet: .*${path.replace(".", "\\.")} .*environment testnet`)), expect.stringMatching(/^testnet: .*environment signet/)]);
  });

  it("finds mixed kinds, and mainnet's wallet identity in clear", async () => {
    await planted();
    const hybrid = (await newIdentity("hybrid")).recipient;
    change("Pulumi.signet.yaml", (text) => text.replace(recipientsOf("signet").wallet, hybrid));
    change("Pulumi.testnet.yaml", (text) => text.replace("testnet4", "mainnet"));
    expect(findings().join("\n")).toMatch(/signet: .*is a classical recipient[\s\S]*testnet: .*wallet\.age-key/);
  });

  it("says which identities are in clear, and that a recovery identity lies whole until it does not", async () => {
    await planted();
    const notes = (): string => checkEnvironments(project).find(({ environment }) => environment === "signet")!.notes.join("\n");
    expect(notes()).toMatch(/environment\.age-key is in clear[\s\S]*recovery identity still lies whole.*holdfast escrow create/);
    rmSync(identityPath(places("signet"), "recovery"));
    expect(notes()).not.toContain("whole");
  });
});

describe("a passphrase", () => {
  it("comes from a file that is this user's alone, without its line's end, and never a short one for something new", async () => {
    const file = join(project, "passphrase");
    writeFileSync(file, "five random words\n", { mode: 0o600 });
    expect(await askPassphrase(file)("?")).toBe("five random words");
    expect(await askNewPassphrase(file)("?")).toBe("five random words");
    writeFileSync(file, "short");
    await expect(askNewPassphrase(file)("passphrase")).rejects.toThrow("has 5 characters");
    writeFileSync(join(project, "open"), "five random words", { mode: 0o644 });
    await expect(askPassphrase(join(project, "open"))("?")).rejects.toThrow("chmod 600");
    await expect(askPassphrase(undefined)("Passphrase of x")).rejects.toThrow("--passphrase-file");
  });
});
