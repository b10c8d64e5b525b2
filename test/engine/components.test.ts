import { cpSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { parse, stringify } from "yaml";
import { newIdentity } from "../../custody/seal.js";
import { makeSeed } from "../../custody/wallet/make.js";
import type { SecretFile } from "../../formats/bundle.js";
import { ensureEngine, type Engine } from "../../rehearsal/engine/engine.js";
import { HOST_STEPS, layHostlessProject, say, stepsThatRan, type Said } from "../hostless.js";

const HOLD = 'import { appendFileSync } from "node:fs";\nappendFileSync("log", "hold\\n");\nawait import("./held.js");\n';

let engine: Engine;
/** A project whose stack was updated once. Each test works on a copy. */
let raised: string;
let folder: string;
let wallet: string;

beforeAll(async () => {
  const cache = process.env["HOLDFAST_CACHE"] ?? join(homedir(), ".cache", "holdfast");
  engine = await ensureEngine({ cache, report: (line) => process.stderr.write(`${line}\n`) });
  raised = folder = mkdtempSync(join(tmpdir(), "holdfast-components-"));
  wallet = (await newIdentity()).recipient;
  await project();
  await pulumi("stack", "init");
  await up();
}, 1_500_000);
afterAll(() => rmSync(raised, { recursive: true, force: true }));

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "holdfast-components-"));
  cpSync(raised, folder, { recursive: true, verbatimSymlinks: true });
  ran();
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** The real program, bundled as program.mjs does it, over steps that reach no host. */
async function project(): Promise<void> {
  await layHostlessProject(folder, ["secrets/steps/hold"]);
  renameSync(join(folder, "dist/steps/hold.js"), join(folder, "dist/steps/held.js"));
  writeFileSync(join(folder, "dist/steps/hold.js"), HOLD);
  const key = (letter: string): string => `ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI${letter.repeat(43)}`;
  writeFileSync(join(folder, "Pulumi.dev.yaml"), stringify({ config: {
    "holdfast:network": "regtest",
    "holdfast:system": { flake: "flake" },
    "holdfast:access": { authorizedKeys: [key("k")] },
    "holdfast:recipients": { environment: `age1${"e".repeat(58)}`, recovery: `age1${"r".repeat(58)}`, wallet },
    "holdfast:deposit": { folder: "deposit" },
    "holdfast:nodes": { alice: {
      host: { commodity: { address: "10.231.9.10", hostKey: key("h"), generation: 1 } }, identity: "seed.json", tunnel: { peers: { phone: { address: "10.10.0.2" } } },
      backup: { repository: "rest:https://10.231.0.1:8000/alice/", user: "alice", passwordFile: "store-password" },
    } },
  } }));
  await newSeed();
}

const newSeed = async (): Promise<void> => writeFileSync(join(folder, "seed.json"),
  JSON.stringify(await makeSeed({ environment: "dev", network: "regtest", node: "alice", recipient: wallet }, new Date())));

/** Runs the engine; what it said, and whether it ended well. */
const start = (...args: string[]): Promise<Said> => say(join(engine.path[0] ?? "", "pulumi"), [...args, "--stack", "dev", "--non-interactive"], {
  folder,
  environment: { ...process.env, ...engine.environment, PATH: [...engine.path, process.env["PATH"]].join(":"), PULUMI_BACKEND_URL: `file://${folder}/state`, PULUMI_CONFIG_PASSPHRASE: "test" },
});

async function pulumi(...args: string[]): Promise<string> {
  const { well, stdout, output } = await start(...args);
  if (!well) throw new Error(output);
  return stdout;
}
async function failure(...args: string[]): Promise<string> {
  const { well, output } = await start(...args);
  if (well) throw new Error(`it did not fail:\n${output}`);
  return output;
}
const up = (): Promise<string> => pulumi("up", "--yes", "--skip-preview");

/** The steps that have run since the last look, by name. */
const ran = (): string[] => stepsThatRan(folder).sort();

type Changes = Record<string, Record<string, unknown>>;
/** Changes alice's part of the stack file. */
function configure(change: (alice: Changes) => void): void {
  const file = join(folder, "Pulumi.dev.yaml");
  const stack = parse(readFileSync(file, "utf8")) as { readonly config: { readonly "holdfast:nodes": { readonly alice: Changes } } };
  change(stack.config["holdfast:nodes"].alice);
  writeFileSync(file, stringify(stack));
}
const commodity = (alice: Changes): Record<string, unknown> => alice["host"]!["commodity"] as Record<string, unknown>;

interface Exported { readonly type: string; readonly urn: string; readonly protect?: boolean; readonly inputs?: Record<string, unknown>; readonly outputs?: Record<string, unknown> }
const resources = async (...args: string[]): Promise<Exported[]> =>
  (JSON.parse(await pulumi("stack", "export", ...args)) as { readonly deployment: { readonly resources: Exported[] } }).deployment.resources;
const nameOf = ({ urn }: { readonly urn: string }): string => urn.slice(urn.lastIndexOf("::") + 2);

/** What stands in clear in an export that shows secrets. */
const plaintext = (value: unknown): string => {
  const text = Object(value).plaintext as unknown;
  return typeof text === "string" ? String(JSON.parse(text)) : String(value);
};

/** Every secret of the stack, by what it is. */
async function secrets(): Promise<Map<string, string>> {
  const all = await resources("--show-secrets");
  const values = new Map(all.filter(({ type }) => type.startsWith("random:")).map((root) => [nameOf(root), plaintext(root.outputs!["result"])]));
  const seal = JSON.parse(plaintext(all.find((one) => nameOf(one) === "alice-bundle-seal")!.inputs!["stdin"])) as { readonly bundle: { readonly files: readonly SecretFile[] } };
  for (const { name, content } of seal.bundle.files) if (name !== "lnd-cert") values.set(name, Buffer.from(content, "base64").toString());
  const outputs = JSON.parse(await pulumi("stack", "output", "--json", "--show-secrets")) as { readonly peers: Record<string, Record<string, string>> };
  return values.set("the phone's private key", /^PrivateKey = (.*)$/m.exec(outputs.peers["alice"]!["phone"]!)![1]!);
}
const inClear = (text: string, values: ReadonlyMap<string, string>): string[] =>
  [...values].flatMap(([name, value]) => ([value, JSON.stringify(value).slice(1, -1), Buffer.from(value).toString("base64")].some((form) => text.includes(form)) ? [name] : []));

describe("an update", () => {
  it("runs no step when nothing has changed", async () => {
    expect(await up()).toMatch(/\d+ unchanged/);
    expect(ran()).toEqual([]);
  });

  it("runs exactly the host's steps for a new generation, as replacements, and the deposit that names it, and deletes nothing by running something", async () => {
    configure((alice) => { commodity(alice)["generation"] = 2; });
    expect(await up()).toContain("+-7 replaced");
    expect(ran()).toEqual([...HOST_STEPS, "deposit"].sort());
    for (const step of (await resources()).filter(({ type }) => type.startsWith("command:"))) expect(Object.keys(step.inputs!), nameOf(step)).not.toContain("delete");
  });

  it("runs what a changed list of peers reaches, and leaves contact, host and identity alone", async () => {
    configure((alice) => { alice["tunnel"]!["peers"] = { phone: { address: "10.10.0.2" }, tablet: { address: "10.10.0.9" } }; });
    await up();
    expect(ran()).toEqual(["activate", "deliver", "deposit", "install", "open", "seal"]);
  });

  it("builds and activates a changed flake, says no more than that beforehand, and seals nothing anew", async () => {
    writeFileSync(join(folder, "flake", "flake.nix"), "{ /* another */ }");
    const preview = JSON.parse(await pulumi("preview", "--json")) as { readonly steps: readonly { readonly op: string; readonly urn: string }[] };
    const changed = preview.steps.filter(({ op, urn }) => !["same", "refresh"].includes(op) && urn.includes("command:local:Command"));
    expect(changed.map(nameOf).sort()).toEqual(["alice-activation-activate", "alice-gate-open", "alice-system-install"]);
    await up();
    expect(ran()).toEqual(["activate", "install", "open"]);
  });

  it("delivers a changed password of the store, and builds nothing for it", async () => {
    writeFileSync(join(folder, "store-password"), "another-password");
    await up();
    expect(ran()).toEqual(["deliver", "deposit", "seal"]);
  });

  it("goes on where it failed, with the step that failed and those behind it", async () => {
    configure((alice) => { commodity(alice)["generation"] = 2; });
    writeFileSync(join(folder, "fail"), "deliver");
    await failure("up", "--yes", "--skip-preview");
    expect(ran()).toEqual(["contact", "deliver", "deposit", "install", "reach", "seal"]);
    rmSync(join(folder, "fail"));
    await up();
    expect(ran()).toEqual(["activate", "deliver", "open"]);
  });

  it("names the step that failed and what it said, and no secret that it was given", async () => {
    const values = await secrets();
    writeFileSync(join(folder, "fail"), "seal");
    configure((alice) => { commodity(alice)["generation"] = 2; });
    const output = await failure("up", "--yes", "--skip-preview");
    expect(output).toContain("alice-bundle-seal");
    expect(output).toContain("the host said no");
    expect(inClear(output, values)).toEqual([]);
  });
});

describe("a configuration that is wrong", () => {
  it.each(["preview", "up"])("ends a %s before any step, in words that name the setting", async (command) => {
    configure((alice) => { Object.assign(commodity(alice), { generation: 2, address: "203.0.113.10" }); });
    const output = await failure(command, ...(command === "up" ? ["--yes", "--skip-preview"] : []));
    expect(output).toContain('holdfast:nodes.alice.host.commodity.address: found "203.0.113.10"');
    expect(ran()).toEqual([]);
  });
});

describe("an identity", () => {
  it("is never replaced by another seed, and the stack keeps the one it held", async () => {
    const held = async (): Promise<unknown> => JSON.parse(plaintext((await resources("--show-secrets")).find((one) => nameOf(one) === "alice-lnd-seed-hold")!.outputs!["stdout"]));
    const before = await held();
    const { nodePublicKey } = before as { readonly nodePublicKey: string };
    await newSeed();
    const output = await failure("up", "--yes", "--skip-preview");
    expect(output).toContain(`The stack holds node ${nodePublicKey}`);
    expect(ran()).toEqual(["hold"]);
    expect(await held()).toEqual(before);
    expect(await failure("up", "--yes", "--skip-preview"), "asked once more").toContain("The stack holds node");
  });

  it("and the roots of what exists elsewhere outlive a destroy, which names them", async () => {
    const output = await failure("destroy", "--yes", "--skip-preview");
    const guarded = ["alice-lnd-seed-hold", "alice-secrets-backup-password-root", "alice-secrets-lnd-macaroon-root-key-root", "alice-secrets-lnd-wallet-password-root"];
    for (const name of guarded) expect(output).toContain(name);
    const left = await resources();
    expect(left.filter(({ protect }) => protect).map(nameOf).sort()).toEqual(guarded);
    expect(ran()).toEqual([]);
  });
});

describe("the state", () => {
  it("holds no secret in clear, and an export that shows secrets does, so that this test can fail", async () => {
    const values = await secrets();
    expect(values.size).toBeGreaterThan(15);
    expect(inClear(JSON.stringify(await resources()), values)).toEqual([]);
    expect(inClear(JSON.stringify(await resources("--show-secrets")), values).length).toBeGreaterThan(8);
    expect(inClear(await pulumi("stack", "output", "--json"), values)).toEqual([]);
    expect(inClear(readFileSync(join(folder, "state", ".pulumi", "stacks", "holdfast", "dev.json"), "utf8"), values)).toEqual([]);
  });
});
