import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { Listr, ListrLogger, ProcessOutput } from "listr2";
import { recipientsSchema } from "../config/schema.js";
import { stackFileKeys } from "../config/project.js";
import { networks, type Network } from "../formats/place.js";
import { ensureEngine } from "../rehearsal/engine/engine.js";
import { ensureImage } from "../rehearsal/machines/image.js";
import { installPackages, missingPackages } from "../rehearsal/machines/packages.js";
import { planOf, rehearsedNodes } from "../rehearsal/plan.js";
import { raise } from "../rehearsal/surroundings.js";
import { ensureDaemons } from "../rehearsal/system/daemons/daemons.js";
import { ensurePrograms } from "../rehearsal/system/programs.js";
import { ensureRehearsalKeys, sshPublicKey } from "./keys.js";
import type { Places } from "./places.js";
import { createIdentityFile, nodeFiles } from "./wallet.js";

/** The stack file's keys, as they stand there. */
export function stackKeys(places: Places): Record<string, unknown> {
  const file = join(places.project, `Pulumi.${places.environment}.yaml`);
  if (!existsSync(file)) throw new Error(`There is no ${file}. Name a stack that has a file (-s dev, -s testnet, -s prod), or write one.`);
  return stackFileKeys(readFileSync(file, "utf8"));
}

/** The nodes of the stack whose machines are made here. */
export const rehearsed = (places: Places): string[] => rehearsedNodes(places.environment, stackKeys(places));

export interface Agreement {
  /** Whether the user agrees to installing Debian packages: asked beforehand, or given by `--yes`. */
  readonly installPackages: (names: readonly string[]) => Promise<boolean>;
}

/** Makes everything that an update of this stack needs on this machine: tools first, then machines and what stands around them. */
export async function prepare(places: Places, agreement: Agreement): Promise<void> {
  const nodes = rehearsed(places);
  const programs = await prepareTools(places, agreement, nodes.length > 0 ? "rehearsal" : "engine");
  if (nodes.length === 0) return;
  await ensureRehearsalKeys(places);
  await ensureRehearsalIdentities(places, nodes);
  await new Listr([{
    title: `Machines, chain and store around ${nodes.join(", ")}`,
    task: (_, task) => raise(planOf(places.state, nodes), {
      state: places.state, cache: places.cache, programs, authorizedKey: sshPublicKey(places), report: (line) => { task.output = line; },
      storePassword: readFileSync(join(places.state, "store-password"), "utf8").trim(),
    }),
  }], listrOptions()).run();
}

/**
 * Makes the tools ready, what can overlap at the same time, and shows progress.
 *
 * @param scope `engine` for stacks whose hosts exist; `rehearsal` for machines made here too
 * @returns the folder of programs that machines see
 */
export async function prepareTools({ cache }: Places, agreement: Agreement, scope: "engine" | "rehearsal"): Promise<string> {
  const rehearsal = scope === "rehearsal";
  const missing = rehearsal ? missingPackages() : [];
  if (missing.length > 0) {
    if (!await agreement.installPackages(missing)) throw new Error(`This machine lacks ${missing.join(", ")}. Install them (apt-get install ${missing.join(" ")}), or run this with --yes.`);
    await installPackages(missing, (line) => process.stderr.write(`  ${line}\n`));
  }
  let programs = "";
  await new Listr([
    {
      title: "Pulumi's engine and plugins",
      task: async (_, task) => {
        const engine = await ensureEngine({ cache, report: (line) => { task.output = line; } });
        task.title = `Pulumi ${engine.version} (${engine.origin})`;
      },
    },
    {
      title: "Machine image", enabled: rehearsal,
      task: async (_, task) => { await ensureImage({ cache, report: (line) => { task.output = line; } }); },
    },
    {
      title: "lnd, btcd and restic's server", enabled: rehearsal,
      task: async (_, task) => {
        const report = (line: string): void => { task.output = line; };
        const daemons = await ensureDaemons({ cache, report });
        programs = (await ensurePrograms({ cache, daemonsFolder: daemons.folder, report })).folder;
      },
    },
  ], { concurrent: true, ...listrOptions() }).run();
  return programs;
}

/** Without a terminal, progress goes to stderr as plain lines: stdout is the result's, which a script may read as JSON. */
const listrOptions = () => ({
  fallbackRenderer: "simple",
  fallbackRendererOptions: { logger: new ListrLogger({ processOutput: new ProcessOutput(process.stderr, process.stderr) }) },
}) as const;

/** A rehearsed node's seed is made with its machine: its coins are worth nothing. */
async function ensureRehearsalIdentities(places: Places, rehearsedNames: readonly string[]): Promise<void> {
  const { environment, project, state } = places;
  const { wallet } = recipientsSchema.parse(JSON.parse(readFileSync(join(state, "recipients.json"), "utf8")));
  const { network, nodes } = nodeFiles(environment, stackKeys(places));
  for (const { id, identity } of nodes.filter(({ name }) => rehearsedNames.includes(name))) {
    const path = resolve(project, identity);
    if (!existsSync(path)) await createIdentityFile(path, { environment, network, node: id, recipient: wallet });
  }
}

export function networkOf(keys: Readonly<Record<string, unknown>>): Network {
  const found = networks.find((network) => network === keys["network"]);
  if (found === undefined) throw new Error(`holdfast:network: found ${JSON.stringify(keys["network"])}; wants one of ${networks.join(", ")}.`);
  return found;
}
