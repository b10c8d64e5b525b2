import type { Command } from "commander";
import { configurationDigest } from "../config/release.js";
import { sourcesDigest } from "../components/system/sources.js";
import { writeProof } from "../components/system/releaseProofs.js";
import type { ReleaseStatement } from "../formats/release.js";
import { specification, statusOf, type NodeStatus } from "./nodes.js";
import { recordsFolder, type Places } from "./places.js";
import { openStack } from "./session.js";

const print = (line: string): void => void process.stdout.write(`${line}\n`);
const note = (line: string): void => void process.stderr.write(`${line}\n`);

/**
 * Signs that the stack's nodes run what its configuration says, committed, with open gates: what a production stack asks for.
 *
 * @throws when the configuration was changed since the last update, when a node is not as it must be, or when no access key is at hand
 */
export async function proveRelease(places: Places): Promise<string> {
  const stack = specification(places);
  if (stack.network === "mainnet") throw new Error(`Stack ${stack.environment} is on mainnet: a proof comes from a test stack.`);
  const result = await (await openStack(places, note)).preview({ suppressProgress: true });
  const pending = Object.entries(result.changeSummary).filter(([operation, count]) => operation !== "same" && operation !== "refresh" && (count ?? 0) > 0);
  if (pending.length > 0) throw new Error(`Stack ${stack.environment} does not run what its configuration says (${pending.map(([operation, count]) => `${count} to ${operation}`).join(", ")}). Raise it first: holdfast up -s ${stack.environment}.`);
  const statuses = await Promise.all(stack.nodes.map((node) => statusOf(stack, node)));
  const sources = sourcesDigest(stack.flake, stack.nodes.flatMap(({ services }) => services));
  const statement: ReleaseStatement = {
    format: "holdfast-release/1", environment: stack.environment, network: stack.network, proven: new Date().toISOString(),
    nodes: Object.fromEntries(stack.nodes.map((node, index) => [node.id, { configuration: configurationDigest(node, sources), system: runningSystem(statuses[index]!) }])),
  };
  return writeProof(statement, recordsFolder(places), stack);
}

/** @throws when the node is not as a proof wants it */
export function runningSystem({ name, unreachable, system, gate, probe }: Pick<NodeStatus, "name" | "unreachable" | "system" | "gate" | "probe">): string {
  const refuse = (why: string): never => { throw new Error(`Node ${name} proves nothing: ${why}. \`holdfast status\` tells more; then run this again.`); };
  if (unreachable !== undefined || system === undefined || gate === undefined || probe === undefined) return refuse(unreachable ?? "it was not asked");
  if (system.state !== "committed") return refuse(`its last activation is ${system.state}`);
  if (probe.system !== system.toplevel) return refuse(`it runs ${probe.system}, and ${system.toplevel} was committed`);
  if (probe.failedUnits.length > 0) return refuse(`failed units: ${probe.failedUnits.join(", ")}`);
  return gate.state === "open" ? system.toplevel : refuse(`its gate is ${gate.state}`);
}

/** `holdfast release …` */
export function releaseCommands(program: Command, here: (options: { readonly stack: string }) => Places): void {
  program.command("release").description("what a production stack wants proven first")
    .command("prove").description("sign that this test stack runs what its configuration says").requiredOption("-s, --stack <name>", "the test stack")
    .action(async (options: { readonly stack: string }) => {
      print(`Signed: ${await proveRelease(here(options))}. Commit it: production stacks look for it there.`);
    });
}
