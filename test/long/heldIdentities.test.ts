import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { LocalWorkspace, PulumiCommand, type Stack } from "@pulumi/pulumi/automation/index.js";
import { build } from "esbuild";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { parse, stringify } from "yaml";
import { inOurWords, unprotectIdentity } from "../../cli/walletForget.js";
import { newIdentity } from "../../custody/seal.js";
import { makeFileIdentity, makeSeed } from "../../custody/wallet/make.js";
import { publicIdentityIn, type AnyIdentity, type FileIdentity, type IdentityFile } from "../../formats/identity.js";
import { ensureEngine } from "../../rehearsal/engine/engine.js";

/** A stack that holds identities and nothing else, with the real step and the real engine. */
const PROGRAM = `
import { readFileSync } from "node:fs";
import { holdIdentities } from "./components/secrets/identities.js";
holdIdentities("alice", JSON.parse(readFileSync("identities.json", "utf8")), {});
`;

let folder: string;
let stack: Stack;
let seed: IdentityFile;
let nsec: FileIdentity;
let onion: FileIdentity;
const make = { seed: () => makeSeed(owner, new Date()), file: (kind: FileIdentity["kind"], name: string) => makeFileIdentity(owner, { kind, name }, new Date()) };
let owner: { readonly environment: string; readonly network: "regtest"; readonly node: string; readonly recipient: string };

beforeAll(async () => {
  const engine = await ensureEngine({ cache: process.env["HOLDFAST_CACHE"] ?? join(homedir(), ".cache", "holdfast"), report: (line) => process.stderr.write(`${line}\n`) });
  folder = mkdtempSync(join(tmpdir(), "holdfast-identities-"));
  for (const name of ["state", "dist/steps"]) mkdirSync(join(folder, name), { recursive: true });
  symlinkSync(resolve("node_modules"), join(folder, "node_modules"));
  const bundled = { bundle: true, platform: "node", format: "esm", target: "node20", packages: "external", logLevel: "error" } as const;
  await build({ ...bundled, stdin: { contents: PROGRAM, resolveDir: resolve("."), loader: "ts" }, outfile: join(folder, "program.mjs") });
  await build({ ...bundled, entryPoints: ["components/secrets/steps/hold.ts"], outfile: join(folder, "dist", "steps", "hold.js") });
  const { config: _, ...project } = parse(readFileSync("Pulumi.yaml", "utf8")) as Record<string, unknown>;
  writeFileSync(join(folder, "Pulumi.yaml"), stringify(project));
  writeFileSync(join(folder, "package.json"), '{"type":"module"}');
  owner = { environment: "dev", network: "regtest", node: "alice", recipient: (await newIdentity()).recipient };
  [seed, nsec, onion] = [await make.seed(), await make.file("nsec", "main"), await make.file("onion-key", "rest")];
  const PATH = [...engine.path, process.env["PATH"]].join(":");
  process.env["PATH"] = PATH;
  stack = await LocalWorkspace.createStack({ stackName: "dev", workDir: folder }, {
    envVars: { ...engine.environment, PATH, PULUMI_BACKEND_URL: `file://${folder}/state`, PULUMI_CONFIG_PASSPHRASE: "test" }, pulumiCommand: await PulumiCommand.get(),
  });
}, 1_500_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const configure = (identity: IdentityFile, identities: readonly FileIdentity[]): void => writeFileSync(join(folder, "identities.json"), JSON.stringify({ identity, identities }));

/** Runs an update; what it said when it failed, nothing when it did well. */
async function up(): Promise<string | undefined> {
  let said = "";
  const hear = (text: string): void => { said += text; };
  try {
    await stack.up({ onOutput: hear, onError: hear, color: "never" });
    return undefined;
  } catch {
    return said;
  }
}

interface Held { readonly urn: string; readonly protect?: boolean; readonly outputs?: { readonly stdout?: { readonly plaintext?: string } } }
async function held(): Promise<Record<string, boolean>> {
  const { deployment } = await stack.exportStack() as { deployment: { resources: Held[] } };
  return Object.fromEntries(deployment.resources.filter(({ urn }) => urn.includes("command:local:Command")).map(({ urn, protect }) => [urn.slice(urn.lastIndexOf("::") + 2), protect === true]));
}
const all = { "alice-lnd-seed-hold": true, "alice-nsec-main-hold": true, "alice-onion-key-rest-hold": true };

describe("a node's identities in the stack", () => {
  beforeEach(async () => {
    configure(seed, [nsec, onion]);
    expect(await up()).toBeUndefined();
    expect(await held()).toEqual(all);
  });

  it.each([
    ["the seed", async () => configure(await make.seed(), [nsec, onion]), () => seed, "A node's seed never changes"],
    ["a signer's key", async () => configure(seed, [await make.file("nsec", "main"), onion]), () => nsec, "An identity never changes"],
  ] as const)("are never replaced: another one in the place of %s is refused, and refused again", async (_, change, before, words) => {
    await change();
    expect(await up()).toContain(publicIdentityIn(before() as AnyIdentity));
    expect(await up()).toContain(words);
    expect(await held()).toEqual(all);
  });

  it("may be sealed for another wallet recipient", async () => {
    const recipient = (await newIdentity()).recipient;
    configure(seed, [{ ...nsec, recipient }, onion]);
    expect(await up()).toBeUndefined();
  });

  it("are not removed with their line in the configuration; the words say what to do", async () => {
    configure(seed, [onion]);
    const said = await up();
    expect(said).toContain("alice-nsec-main-hold");
    expect(inOurWords(said!)).toContain("alice-nsec-main: the configuration does not name this identity any more");
    expect(await held()).toEqual(all);
  });

  it("are removed once the operator has said so, one and no other", async () => {
    await unprotectIdentity(stack, "alice", { kind: "nsec", name: "main" });
    expect(await held()).toEqual({ ...all, "alice-nsec-main-hold": false });
    configure(seed, [onion]);
    expect(await up()).toBeUndefined();
    expect(await held()).toEqual({ "alice-lnd-seed-hold": true, "alice-onion-key-rest-hold": true });
  });

  it("are protected again by an update whose configuration still names them", async () => {
    await unprotectIdentity(stack, "alice", { kind: "lnd-seed" });
    expect(await held()).toEqual({ ...all, "alice-lnd-seed-hold": false });
    expect(await up()).toBeUndefined();
    expect(await held()).toEqual(all);
  });

  it("that the stack does not hold cannot be given up, and the error names those that it holds", async () => {
    const before = readFileSync(join(folder, "state", ".pulumi", "stacks", "holdfast", "dev.json"), "utf8");
    await expect(unprotectIdentity(stack, "bob", { kind: "lnd-seed" })).rejects.toThrow("The stack holds no bob-lnd-seed. It holds: alice-lnd-seed, alice-nsec-main, alice-onion-key-rest.");
    expect(readFileSync(join(folder, "state", ".pulumi", "stacks", "holdfast", "dev.json"), "utf8")).toBe(before);
  });
});
