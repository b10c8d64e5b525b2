import { mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { delimiter, join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parse, stringify } from "yaml";
import { createEnvironment } from "../../cli/envCreate.js";
import { noteMarks } from "../../cli/marks.js";
import { placesOf, type Places } from "../../cli/places.js";
import { restoreState } from "../../cli/state.js";
import { identityIn, newIdentity } from "../../custody/seal.js";
import { makeSeed } from "../../custody/wallet/make.js";
import { marksSchema } from "../../formats/records.js";
import { ensureEngine, type Engine } from "../../rehearsal/engine/engine.js";
import { HOST_STEPS, layHostlessProject, say, stepsThatRan, type Said } from "../hostless.js";

let engine: Engine;
let folder: string;
let places: Places;
/** Escrowed: it lies outside of everything that is lost. */
let recovery: string;
const outside = (): string => `${folder}-outside`;
const environmentBefore = { ...process.env };

beforeAll(async () => {
  engine = await ensureEngine({ cache: process.env["HOLDFAST_CACHE"] ?? join(homedir(), ".cache", "holdfast"), report: (line) => process.stderr.write(`${line}\n`) });
  folder = mkdtempSync(join(tmpdir(), "holdfast-restore-"));
  mkdirSync(outside());
  await layHostlessProject(folder);
  const key = (letter: string): string => `ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI${letter.repeat(43)}`;
  const wallet = (await newIdentity()).recipient;
  writeFileSync(join(folder, "Pulumi.dev.yaml"), `# A stack file for people.\n${stringify({ config: {
    "holdfast:network": "regtest",
    "holdfast:system": { flake: "flake" },
    "holdfast:access": { authorizedKeys: [key("k")] },
    "holdfast:recipients": { environment: "age1-REPLACE-ME", recovery: "age1-REPLACE-ME", wallet },
    "holdfast:deposit": { folder: outside() },
    "holdfast:nodes": { alice: {
      id: "alice-1", host: { commodity: { address: "10.231.9.10", hostKey: key("h"), generation: 1 } }, identity: "environments/dev/alice.lnd-seed.json",
      tunnel: { peers: { phone: { address: "10.10.0.2" } } }, backup: { repository: "rest:https://10.231.0.1:8000/alice/", user: "alice", passwordFile: ".holdfast/dev/store-password" },
    } },
  } })}`);
  places = { ...placesOf(folder, "dev"), cache: process.env["HOLDFAST_CACHE"] ?? join(homedir(), ".cache", "holdfast") };
  const passphrase = (): Promise<string> => Promise.reject(new Error("nothing is asked for"));
  await createEnvironment(places, { network: undefined, kind: "classical", identity: "file", walletRecipient: undefined, node: "alice", passphrases: { infrastructure: passphrase, wallet: passphrase } });
  writeFileSync(join(folder, ".holdfast", "dev", "store-password"), "password-of-the-store", { mode: 0o600 });
  writeFileSync(join(folder, "environments", "dev", "alice.lnd-seed.json"), JSON.stringify(await makeSeed({ environment: "dev", network: "regtest", node: "alice-1", recipient: wallet }, new Date())));
  recovery = identityIn(readFileSync(join(folder, ".holdfast", "dev", "recovery.age-key"), "utf8"), "recovery.age-key");
}, 1_500_000);
afterAll(() => {
  for (const path of [folder, outside()]) rmSync(path, { recursive: true, force: true });
});

/** Runs the engine with the passphrase that the environment's identity opens now. */
async function pulumi(...args: string[]): Promise<Said> {
  const { pulumiEnvironment } = await import("../../cli/session.js");
  for (const name of ["PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE", "PULUMI_BACKEND_URL"]) delete process.env[name];
  const environment = await pulumiEnvironment(places, () => undefined, "command");
  return say(join(engine.path[0] ?? "", "pulumi"), [...args, "--stack", "dev", "--non-interactive"], { folder, environment: { ...environmentBefore, ...environment, PATH: [environment["PATH"], resolve("node_modules/.bin")].join(delimiter) } });
}
async function well(...args: string[]): Promise<string> {
  const { well: isWell, stdout, output } = await pulumi(...args);
  if (!isWell) throw new Error(output);
  return stdout;
}
/** What `holdfast up` does: the update, then the marks. */
async function up(): Promise<string> {
  const said = await well("up", "--yes", "--skip-preview");
  const outputs = JSON.parse(await well("stack", "output", "--json")) as Record<string, unknown>;
  noteMarks(places, { nodes: [{ id: "alice-1", name: "alice" }] as never }, { nodes: { value: outputs["nodes"], secret: false } });
  return said;
}
const ran = (): string[] => stepsThatRan(folder);

interface Exported { readonly type: string; readonly urn: string; readonly protect?: boolean; readonly outputs?: Record<string, unknown> }
const plaintext = (value: unknown): string => JSON.parse(String(Object(value).plaintext)) as string;
const resources = async (): Promise<Exported[]> => (JSON.parse(await well("stack", "export", "--show-secrets")) as { deployment: { resources?: Exported[] } }).deployment.resources ?? [];
const roots = async (): Promise<Record<string, string>> => Object.fromEntries((await resources()).filter(({ type }) => type.startsWith("random:")).map(({ urn, outputs }) => [urn, plaintext(outputs!["result"])]));
const outputs = async (): Promise<unknown> => {
  const { nodes, ...rest } = JSON.parse(await well("stack", "output", "--json", "--show-secrets")) as { nodes: { alice: Record<string, unknown> } };
  const { deposit: _, ...alice } = nodes.alice;
  return { alice, ...rest };
};
const deposits = (): string[] => readdirSync(join(outside(), "dev", "alice-1")).sort();
const restore = (identity = recovery): Promise<void> => {
  process.chdir(folder);
  for (const name of ["PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE", "PULUMI_BACKEND_URL"]) delete process.env[name];
  return restoreState(places, { deposit: outside(), identity, agree: async () => true });
};
/** The laptop is gone: with it, everything below .holdfast, Pulumi's state too. The repository is cloned anew. */
const lose = (): void => {
  rmSync(join(folder, ".holdfast"), { recursive: true, force: true });
  placesOf(folder, "dev");
};

describe("a stack whose state and .holdfast folder are lost", () => {
  let before: { readonly roots: Record<string, string>; readonly outputs: unknown };

  it("has its roots off-site when its node was raised, and deposits nothing more while nothing changes", async () => {
    await well("stack", "init");
    await up();
    expect(ran().sort()).toEqual([...HOST_STEPS].sort());
    expect(deposits()).toHaveLength(1);
    before = { roots: await roots(), outputs: await outputs() };
    expect(Object.keys(before.roots).length).toBeGreaterThan(8);
    expect(await up()).toMatch(/Resources:\s+\d+ unchanged/);
    expect(ran()).toEqual([]);
    expect(deposits()).toHaveLength(1);
  });

  it("is refused other roots, in a preview and in an update, before anything is delivered or deposited", async () => {
    lose();
    // Whoever has lost all this begins as with a new environment.
    const marks = marksSchema.parse(JSON.parse(readFileSync(join(folder, "environments", "dev", "marks.json"), "utf8")));
    const made = await newIdentity();
    writeFileSync(join(folder, ".holdfast", "dev", "environment.age-key"), `${made.identity}\n`, { mode: 0o600 });
    writeFileSync(join(folder, ".holdfast", "dev", "store-password"), "password-of-the-store", { mode: 0o600 });
    const { makePassphrase } = await import("../../custody/passphrase.js");
    await makePassphrase(join(folder, "environments", "dev"), { environment: made.recipient, recovery: (await newIdentity()).recipient }, new Date());
    writeFileSync(join(folder, "Pulumi.dev.yaml"), readFileSync(join(folder, "Pulumi.dev.yaml"), "utf8").replace(/^encryptionsalt:.*\n?/m, ""));
    await well("stack", "init");

    for (const argv of [["preview"], ["up", "--yes", "--skip-preview"]]) {
      const { well: isWell, output } = await pulumi(...argv);
      expect(isWell).toBe(false);
      expect(output).toContain(`marks.json has ${marks.tunnels["alice-1"]!}`);
      expect(output).toContain("holdfast state restore -s dev");
      expect(output).not.toContain("error serializing property");
    }
    for (const step of ["install", "seal", "deliver", "activate"]) expect(ran()).not.toContain(step);
    expect(deposits()).toHaveLength(1);
  });

  it("is restored over what such an update left, and over nothing", async () => {
    await restore();
    lose();
    await restore();
    expect(await roots()).toEqual(before.roots);
    expect((await resources()).filter(({ protect }) => protect).map(({ urn }) => urn.split("::").at(-1)).sort()).toEqual([
      "alice-1-secrets-backup-password-root", "alice-1-secrets-lnd-macaroon-root-key-root", "alice-1-secrets-lnd-wallet-password-root",
    ]);
  });

  it("keeps nothing of it in clear on the disk, and its stack file stays a file for people", () => {
    const state = readFileSync(join(folder, ".holdfast", "state", ".pulumi", "stacks", "holdfast", "dev.json"), "utf8");
    for (const value of Object.values(before.roots)) expect(state).not.toContain(value);
    const stackFile = readFileSync(join(folder, "Pulumi.dev.yaml"), "utf8");
    expect(stackFile).toMatch(/^# A stack file for people\./);
    const { recipients } = Object.fromEntries(Object.entries(Object(parse(stackFile)).config as Record<string, unknown>).map(([key, value]) => [key.split(":")[1], value])) as { recipients: Record<string, string> };
    expect(readFileSync(join(folder, ".holdfast", "dev", "environment.age-key.pub"), "utf8").trim()).toBe(recipients["environment"]);
  });

  it("can be restored once more, as after a run that was cut short", async () => {
    await restore();
    expect(await roots()).toEqual(before.roots);
  });

  it("comes back with the next update: every root as it was, the same keys and certificate, and the rest made", async () => {
    ran();
    const said = await up();
    expect(said).not.toMatch(/RandomPassword \S+ (creat|replac|updat|delet)/);
    expect(await roots()).toEqual(before.roots);
    expect(await outputs()).toEqual(before.outputs);
    expect(ran().sort()).toEqual([...HOST_STEPS].sort());
    expect(deposits()).toHaveLength(2);
    expect(await up()).toMatch(/Resources:\s+\d+ unchanged/);
    expect(ran()).toEqual([]);
  });

  it("is not restored over a state by which its node lives", async () => {
    await expect(restore()).rejects.toThrow(/Stack dev has a state with \d+ resources, and something lives by it .*there is nothing to restore/);
  });

  it("is left alone when an export is missing or another's, when the identity is, or when a file would have to change", async () => {
    lose();
    const state = (): string[] => readdirSync(join(folder, ".holdfast"), { recursive: true }).map(String).filter((path) => !path.startsWith("state")).sort();
    const untouched = state();
    await expect(restore((await newIdentity()).identity)).rejects.toThrow(/does not open with this recovery identity/);
    renameSync(join(outside(), "dev", "alice-1"), join(outside(), "dev", "elsewhere"));
    await expect(restore()).rejects.toThrow(/has no roots of dev\/alice-1/);
    renameSync(join(outside(), "dev", "elsewhere"), join(outside(), "dev", "alice-1"));
    writeFileSync(join(folder, ".holdfast", "dev", "store-password"), "another");
    await expect(restore()).rejects.toThrow(/\.holdfast\/dev\/store-password is there and holds something else than the export/);
    rmSync(join(folder, ".holdfast", "dev", "store-password"));
    await expect(restoreState(places, { deposit: outside(), identity: recovery, agree: async () => false })).rejects.toThrow("Nothing was written");
    expect(state()).toEqual(untouched);
  });
});

describe("a deposit whose files are gone", () => {
  it("is made again by one command, which touches nothing else", async () => {
    await restore();
    await up();
    ran();
    rmSync(join(outside(), "dev"), { recursive: true });
    const { depositAgain } = await import("../../cli/state.js");
    await depositAgain(places);
    expect(deposits()).toHaveLength(1);
    expect(ran()).toEqual([]);
    expect(await up()).toMatch(/Resources:\s+\d+ unchanged/);
  });
});
