import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { parse, stringify } from "yaml";
import { createEnvironment } from "../../cli/envCreate.js";
import { noteMarks } from "../../cli/marks.js";
import { identityPath, placesOf, recordsFolder } from "../../cli/places.js";
import { identityOf, openWith } from "../../custody/identityFile.js";
import { sealedPassphrase } from "../../custody/passphrase.js";
import { newIdentity } from "../../custody/seal.js";
import { makeSeed } from "../../custody/wallet/make.js";
import type { Network } from "../../formats/place.js";
import { ensureEngine, type Engine } from "../../rehearsal/engine/engine.js";
import { layHostlessProject, say, stepsThatRan, type Said } from "../hostless.js";

const nobody = () => Promise.reject(new Error("asked though nothing was to be asked"));
let engine: Engine;
/** A project with a testnet stack that was updated once, and a mainnet stack that was not. Each test works on a copy. */
let raised: string;
let folder: string;

beforeAll(async () => {
  engine = await ensureEngine({ cache: process.env["HOLDFAST_CACHE"] ?? join(homedir(), ".cache", "holdfast"), report: (line) => process.stderr.write(`${line}\n`) });
  raised = folder = mkdtempSync(join(tmpdir(), "holdfast-environments-"));
  await layHostlessProject(folder);
  await stack("testnet", "testnet4", 11);
  await stack("prod", "mainnet", 10);
  await pulumi("testnet", "stack", "init");
  await up("testnet");
}, 1_500_000);
afterAll(() => {
  for (const path of [raised, `${raised}-deposit`]) rmSync(path, { recursive: true, force: true });
});
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "holdfast-environments-"));
  cpSync(raised, folder, { recursive: true, verbatimSymlinks: true });
  ran();
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** An environment of the command's own making, with one node. */
async function stack(name: string, network: Network, number: number): Promise<void> {
  const key = (letter: string): string => `ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI${letter.repeat(42)}${number % 10}`;
  const wallet = (await newIdentity()).recipient;
  writeFileSync(join(folder, `Pulumi.${name}.yaml`), stringify({ config: {
    "holdfast:network": network,
    "holdfast:system": { flake: "flake" },
    "holdfast:access": { authorizedKeys: [key("k")] },
    "holdfast:recipients": { environment: "age1-REPLACE-ME", recovery: "age1-REPLACE-ME", wallet },
    "holdfast:release": { provenOn: "none" },
    "holdfast:deposit": { folder: `${raised}-deposit` },
    "holdfast:nodes": { alice: {
      id: "alice-1", host: { commodity: { address: `10.231.9.${number}`, hostKey: key("h"), generation: 1 } }, identity: `environments/${name}/alice.lnd-seed.json`,
      tunnel: { network: `10.${number}.0.0/24`, peers: { phone: { address: `10.${number}.0.2` } } },
      backup: { repository: "rest:https://10.231.0.1:8000/alice/", user: "alice", passwordFile: "store-password" },
    } },
  } }));
  await createEnvironment(placesOf(folder, name), { network: undefined, kind: "classical", identity: "file", walletRecipient: undefined, node: "alice", passphrases: { infrastructure: nobody, wallet: nobody } });
  writeFileSync(join(folder, "environments", name, "alice.lnd-seed.json"), JSON.stringify(await makeSeed({ environment: name, network, node: "alice-1", recipient: wallet }, new Date())));
  mkdirSync(`${raised}-deposit`, { recursive: true });
}

const passphraseOf = async (name: string): Promise<string> => openWith(identityPath(placesOf(folder, name), "environment"), readFileSync(sealedPassphrase(recordsFolder(placesOf(folder, name))), "utf8"), nobody);

/** Runs the engine on a stack; what it said, and whether it ended well. */
const start = (name: string, passphrase: string, args: readonly string[], input = ""): Promise<Said> => say(join(engine.path[0] ?? "", "pulumi"), [...args, "--stack", name, "--non-interactive"], {
  folder, input,
  environment: { ...process.env, ...engine.environment, PATH: [...engine.path, resolve("node_modules/.bin"), process.env["PATH"]].join(":"), PULUMI_BACKEND_URL: `file://${folder}/state`, PULUMI_CONFIG_PASSPHRASE: passphrase },
});
async function pulumi(name: string, ...args: string[]): Promise<string> {
  const { well, stdout, output } = await start(name, await passphraseOf(name), args);
  if (!well) throw new Error(output);
  return stdout;
}
async function failure(name: string, passphrase: string, ...args: string[]): Promise<string> {
  const { well, output } = await start(name, passphrase, args);
  if (well) throw new Error(`it did not fail:\n${output}`);
  return output.replaceAll(/\n */g, " ");
}
/** What `holdfast up` does: the update, then the marks. */
async function up(name: string, node = "alice"): Promise<string> {
  const said = await pulumi(name, "up", "--yes", "--skip-preview");
  const outputs = JSON.parse(await pulumi(name, "stack", "output", "--json")) as Record<string, unknown>;
  noteMarks(placesOf(folder, name), { nodes: [{ id: "alice-1", name: node }] as never }, { nodes: { value: outputs["nodes"], secret: false } });
  return said;
}
const ran = (): string[] => stepsThatRan(folder).sort();
function edit(file: string, change: (text: string) => string): void {
  const before = readFileSync(join(folder, file), "utf8");
  const after = change(before);
  expect(after, `${file} was to change`).not.toBe(before);
  writeFileSync(join(folder, file), after);
}

interface Exported { readonly type: string; readonly urn: string; readonly outputs?: Record<string, unknown> }
const exported = (name: string): Promise<string> => pulumi(name, "stack", "export", "--show-secrets");
/** What every key derives from, by the resource's name. */
const rootsOf = async (name: string): Promise<Record<string, unknown>> => Object.fromEntries(
  (JSON.parse(await exported(name)) as { readonly deployment: { readonly resources: Exported[] } }).deployment.resources
    .filter(({ type }) => type.startsWith("random:")).map(({ urn, outputs }) => [urn.slice(urn.lastIndexOf("::") + 2), Object(outputs!["result"]).plaintext]));
/** The files of the bundle and the peers' configurations: everything that derives from the roots. */
async function keysOf(name: string, node: string): Promise<unknown> {
  const { deployment } = JSON.parse(await exported(name)) as { readonly deployment: { readonly resources: (Exported & { readonly inputs?: Record<string, unknown> })[] } };
  const seal = deployment.resources.find(({ urn }) => urn.endsWith("-bundle-seal"))!;
  const { bundle } = JSON.parse(JSON.parse(String(Object(seal.inputs!["stdin"]).plaintext)) as string) as { readonly bundle: { readonly files: unknown } };
  const outputs = JSON.parse(await pulumi(name, "stack", "output", "--json", "--show-secrets")) as { readonly nodes: Record<string, { readonly tunnel: unknown }>; readonly peers: Record<string, unknown>; readonly lndconnect: Record<string, unknown> };
  return { files: bundle.files, tunnel: outputs.nodes[node]!.tunnel, peers: outputs.peers[node], lndconnect: outputs.lndconnect[node] };
}

describe("a new name", () => {
  it("of a node changes what people see, and no key", async () => {
    const before = [await rootsOf("testnet"), await keysOf("testnet", "alice")];
    expect(Object.keys(before[0]!).length).toBeGreaterThan(5);
    edit("Pulumi.testnet.yaml", (text) => text.replace("    alice:\n", "    carol:\n"));
    await up("testnet", "carol");
    expect(ran()).not.toContain("reach");
    expect([await rootsOf("testnet"), await keysOf("testnet", "carol")]).toEqual(before);
  });

  it("of the project changes nothing but where Pulumi keeps the state: no key, and no step runs", async () => {
    const before = [await rootsOf("testnet"), await keysOf("testnet", "alice")];
    await pulumi("testnet", "stack", "rename", "organization/renamed/testnet");
    edit("Pulumi.yaml", (text) => text.replace("name: holdfast", "name: renamed"));
    expect(existsSync(join(folder, "state", ".pulumi", "stacks", "renamed", "testnet.json"))).toBe(true);
    await up("testnet");
    expect(ran()).toEqual([]);
    expect([await rootsOf("testnet"), await keysOf("testnet", "alice")]).toEqual(before);
  });
});

describe("a mainnet stack", () => {
  it.each(["preview", "up"])("refuses testnet's passphrase in a %s, by its name, before anything is done", async (command) => {
    const testnet = await passphraseOf("testnet");
    expect((await start("prod", testnet, ["stack", "init"])).well).toBe(true);
    const output = await failure("prod", testnet, command, ...(command === "up" ? ["--yes", "--skip-preview"] : []));
    expect(output).toContain("PULUMI_CONFIG_PASSPHRASE: found the passphrase of environment testnet");
    expect(output).toContain("holdfast env unlock prod");
    expect(output).not.toContain(testnet);
    expect(ran()).toEqual([]);
  });

  it("refuses a passphrase that is nobody's, and takes its own", async () => {
    expect((await start("prod", "somebody's", ["stack", "init"])).well).toBe(true);
    expect(await failure("prod", "somebody's", "preview")).toContain("another fingerprint than the one in environments/prod/marks.json");
    edit("Pulumi.prod.yaml", (text) => text.replace(/^encryptionsalt:.*\n/m, ""));
    await pulumi("prod", "stack", "rm", "--yes", "--preserve-config");
    await pulumi("prod", "stack", "init");
    await up("prod");
    expect(await failure("prod", await passphraseOf("testnet"), "preview"), "once it has a state, Pulumi itself refuses").toContain("incorrect passphrase");
  });

  it("refuses testnet's identity: it opens neither passphrase nor anything else of it", async () => {
    const sealed = readFileSync(sealedPassphrase(recordsFolder(placesOf(folder, "prod"))), "utf8");
    for (const role of ["environment", "recovery"] as const) await expect(openWith(identityPath(placesOf(folder, "testnet"), role), sealed, nobody)).rejects.toThrow("no identity matched");
    expect(await identityOf(identityPath(placesOf(folder, "prod"), "environment"), nobody)).toMatch(/^AGE-SECRET-KEY-/);
  });

  it("refuses testnet's seed", async () => {
    await pulumi("prod", "stack", "init");
    edit("Pulumi.prod.yaml", (text) => text.replace("environments/prod/alice", "environments/testnet/alice"));
    expect(await failure("prod", await passphraseOf("prod"), "preview")).toContain("is the identity of testnet/alice-1 on testnet4; wants that of prod/alice-1 on mainnet");
  });

  it("refuses a recipient and an address range of testnet's in every preview, though testnet is locked", async () => {
    await pulumi("prod", "stack", "init");
    rmSync(join(folder, ".holdfast", "testnet"), { recursive: true });
    const { config } = parse(readFileSync(join(folder, "Pulumi.testnet.yaml"), "utf8")) as { readonly config: Record<string, Record<string, string>> };
    const recovery = config["holdfast:recipients"]!["recovery"]!;
    edit("Pulumi.prod.yaml", (text) => text.replace(/recovery: .*/, `recovery: ${recovery}`).replaceAll("10.10.0.", "10.11.0."));
    const output = await failure("prod", await passphraseOf("prod"), "preview");
    expect(output).toContain("holdfast:recipients.recovery");
    expect(output).toContain("environment testnet (its holdfast:recipients.recovery)");
    expect(output).toContain("overlaps environment testnet (its holdfast:nodes.alice.tunnel.network)");
  });
});

describe("testnet's state, imported into a mainnet stack", () => {
  const imported = async (change: (state: string) => string) => {
    const state = await exported("testnet");
    await pulumi("prod", "stack", "init");
    return start("prod", await passphraseOf("prod"), ["stack", "import"], change(state));
  };

  const KEYS = /that key belongs to environment testnet \(its environments\/testnet\/marks\.json: tunnels\.alice-1\): this is another environment's state; `holdfast state restore -s prod`/;

  it("is refused by Pulumi itself as it is", async () => {
    const { well, output } = await imported((state) => state);
    expect(well, output).toBe(false);
  });

  it("is refused for its keys when somebody has renamed all of its resources and changed its passphrase", async () => {
    const salt = (name: string): string => /^encryptionsalt: (.*)$/m.exec(readFileSync(join(folder, `Pulumi.${name}.yaml`), "utf8"))![1]!;
    const { well, output } = await imported((state) => state.replaceAll("urn:pulumi:testnet::", "urn:pulumi:prod::").replaceAll(salt("testnet"), salt("prod")));
    expect(well, output).toBe(true);
    for (const args of [["preview"], ["up", "--yes", "--skip-preview"]]) {
      const refused = await failure("prod", await passphraseOf("prod"), ...args);
      // An update runs `hold` too, which may be the first to say so: the state holds testnet's seed.
      expect(refused).toMatch(args[0] === "preview" ? KEYS : new RegExp(`${KEYS.source}|The stack holds node`));
      expect(ran().filter((step) => step !== "reach" && step !== "hold"), args.join(" ")).toEqual([]);
    }
  });
});

describe("a state that was lost", () => {
  it("is refused in the first preview, before another set of keys takes the node's place", async () => {
    rmSync(join(folder, "state"), { recursive: true });
    mkdirSync(join(folder, "state"));
    await pulumi("testnet", "stack", "init");
    for (const args of [["preview"], ["up", "--yes", "--skip-preview"]]) {
      expect(await failure("testnet", await passphraseOf("testnet"), ...args)).toMatch(/environments\/testnet\/marks\.json has .* for it: this state was lost.*holdfast state restore -s testnet/);
      expect(ran().filter((step) => step !== "reach"), args.join(" ")).toEqual([]);
    }
  });
});
