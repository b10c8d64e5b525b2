import { createRequire } from "node:module";
import { rmSync, writeFileSync } from "node:fs";
import { execa } from "execa";
import { restoredResources } from "../components/recovery/restoredState.js";
import { projectName } from "../config/project.js";
import type { Roots } from "../formats/roots.js";
import { memoryFile, type Places } from "./places.js";
import { engineEnvironment, openStack } from "./session.js";

const DEADLINE = 120_000;

/** As much of an exported resource as is looked at here. @see pulumi apitype.ResourceV3 */
interface Exported {
  readonly urn: string;
  readonly type: string;
  readonly custom?: boolean;
  readonly inputs?: { readonly create?: unknown };
  readonly outputs?: { readonly result?: unknown };
}
interface Export { readonly deployment: { resources?: readonly Exported[] } }

/** What a backend has of a stack. */
export type KnownState = "none" | "nothing-delivered";

/** Runs Pulumi itself, which needs no passphrase for what is asked here. A secret goes to its stdin alone. */
async function pulumi(places: Places, argv: readonly string[], environment: Readonly<Record<string, string>>, input?: string): Promise<string> {
  const result = await execa("pulumi", [...argv, "--non-interactive"], {
    cwd: places.project, env: environment, timeout: DEADLINE, reject: false, ...(input === undefined ? { stdin: "ignore" as const } : { input }),
  });
  if (result.exitCode !== 0) throw new Error(`"pulumi ${argv.join(" ")}" failed: ${(result.stderr ?? "").trim().split("\n").slice(-3).join(" ")}`);
  return result.stdout;
}

/**
 * Looks whether the stack has a state that must not be put aside. One from which nothing was delivered, as an update leaves that was refused because its roots were other ones, may be.
 *
 * @throws when a node lives by the state that is there
 */
export async function requireNoState(places: Places, report: (line: string) => void): Promise<KnownState> {
  const environment = await engineEnvironment(places, report);
  const stacks = JSON.parse(await pulumi(places, ["stack", "ls", "--json"], environment)) as readonly { readonly name: string; readonly resourceCount?: number }[];
  const found = stacks.find(({ name }) => name === places.environment || name.endsWith(`/${places.environment}`));
  if (found === undefined) return "none";
  if ((found.resourceCount ?? 0) === 0) return "nothing-delivered";
  const { deployment } = JSON.parse(await pulumi(places, ["stack", "export", "--stack", places.environment], environment)) as Export;
  const resources = deployment.resources ?? [];
  const live = resources.find(isLive);
  if (live === undefined) return "nothing-delivered";
  const { environment: name } = places;
  throw new Error(`Stack ${name} has a state with ${resources.length} resources, and something lives by it (${live.urn.slice(live.urn.lastIndexOf("::") + 2)}): there is nothing to restore. `
    + `Is it the passphrase that is missing? The recovery identity opens it too: holdfast escrow recover -s ${name} --output FILE …, then holdfast env unlock ${name} --identity FILE. `
    + `Is it truly the wrong state? Then name the right backend (PULUMI_BACKEND_URL), or remove this one: pulumi stack rm ${name} --force --preserve-config`);
}

/** Whether a resource says that a node was given its secrets, or that something outside of the state exists by it. */
export function isLive({ type, custom, inputs }: Exported): boolean {
  if (custom !== true || /^(pulumi:providers:|random:)/.test(type)) return false;
  return type !== "command:local:Command" || /\/(deliver|activate|open)\.js$/.test(String(inputs?.create));
}

/**
 * Makes the stack anew under its new passphrase, with the nodes' roots in it, and reads them back.
 *
 * @param passphrase what `passphrase.age` holds now
 */
export async function importRoots(places: Places, nodes: readonly Roots[], from: { readonly known: KnownState; readonly passphrase: string; readonly report: (line: string) => void }): Promise<void> {
  const file = memoryFile(places, `${process.pid}.passphrase`);
  writeFileSync(file, from.passphrase, { mode: 0o600 });
  process.once("exit", () => rmSync(file, { force: true }));
  delete process.env["PULUMI_CONFIG_PASSPHRASE"];
  process.env["PULUMI_CONFIG_PASSPHRASE_FILE"] = file;

  const environment = await engineEnvironment(places, from.report);
  // Its secrets are locked with another passphrase.
  if (from.known !== "none") await pulumi(places, ["stack", "rm", places.environment, "--force", "--yes", "--preserve-config"], environment);
  const stack = await openStack(places, from.report);
  const empty = JSON.parse(await pulumi(places, ["stack", "export", "--stack", places.environment], environment)) as Export;
  empty.deployment.resources = restoredResources({ project: projectName(places.project), stack: places.environment, randomVersion: randomVersion() }, nodes);
  await pulumi(places, ["stack", "import", "--stack", places.environment], environment, JSON.stringify(empty));

  const { resources = [] } = (await stack.exportStack()).deployment as Export["deployment"];
  const kept = new Set(resources.map(({ outputs }) => plaintext(outputs?.result)));
  const lost = nodes.flatMap(({ roots }) => Object.entries(roots).filter(([, { value }]) => !kept.has(value)).map(([id]) => id));
  if (lost.length > 0) throw new Error(`The state that was written does not give back ${lost.join(", ")}. Do not use it; run this again, and look at the disk behind the backend.`);
}

const plaintext = (value: unknown): unknown => {
  const text: unknown = Object(value).plaintext;
  return typeof text === "string" ? JSON.parse(text) as unknown : undefined;
};

/** The plugin has the version of its package. */
const randomVersion = (): string => (createRequire(import.meta.url)("@pulumi/random/package.json") as { readonly version: string }).version;
