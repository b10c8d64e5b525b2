import type { Command } from "commander";
import { askAgent } from "../components/host/agent.js";
import { recorded } from "../custody/audit/log.js";
import { olderBundleSchema, type OlderBundle } from "../formats/step.js";
import { typed } from "./ask.js";
import { connectionOf, specification } from "./nodes.js";
import { auditLog, type Places } from "./places.js";

const print = (line: string): void => void process.stdout.write(`${line}\n`);
const date = (version: number): string => new Date(version).toISOString();

/** What the operator is asked to vouch for. */
export function olderBundleText(node: string, { refused, highest }: OlderBundle & { readonly refused: number }): string {
  const had = highest === null ? "" : ` It has had secrets of ${date(highest)}.`;
  return `${node} has refused secrets that were sealed ${date(refused)}, for being older than what the node has had.${had}
Accepted, they replace newer ones: passwords and keys that were rotated since come back. This holds for this one bundle alone.`;
}

/** `holdfast accept-older NODE`: the operator's word that a bundle of secrets is right although the node has had newer ones. */
export function acceptOlderCommands(program: Command, here: (options: { readonly stack: string }) => Places): void {
  program.command("accept-older <node>").description("let a node take the one bundle of secrets that it refused last for being older than what it has had")
    .option("-s, --stack <name>", "the environment", "dev").option("--yes", "do not ask")
    .action(async (name: string, options: { readonly stack: string; readonly yes?: true }) => {
      const places = here(options);
      const stack = specification(places);
      const node = stack.nodes.find((one) => one.name === name || one.id === name);
      if (node === undefined) throw new Error(`Stack ${stack.environment} has no node ${name}. It has: ${stack.nodes.map((one) => one.name).join(", ")}.`);
      const ask = (input: { readonly version?: number }): Promise<OlderBundle> => askAgent(connectionOf(stack, node), "accept-older", input, olderBundleSchema, { deadline: 60_000 });

      const known = await ask({});
      const { refused } = known;
      if (refused === null) throw new Error(`${node.name} has refused no bundle of secrets: there is nothing to accept. Run holdfast up; if that is refused, come back.`);
      if (known.accepted === refused) return print(`The secrets of ${date(refused)} were accepted before. Go on: holdfast up`);
      const word = options.yes === true || await typed(olderBundleText(node.name, { ...known, refused }), node.name);
      if (!word) throw new Error("Nothing was accepted. Type the node's name when asked, or give --yes.");
      await recorded(auditLog(places), { action: "older-bundle-accepted", subject: node.id, note: `sealed ${date(refused)}` }, () => ask({ version: refused }));
      print(`${node.name} takes the secrets of ${date(refused)}. Go on: holdfast up`);
    });
}
