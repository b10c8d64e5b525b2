import { resolve } from "node:path";
import type { Command } from "commander";
import type { StackSpecification } from "../config/specification.js";
import { depositFault } from "../custody/deposit/roots.js";
import { folderStore } from "../custody/deposit/store.js";
import { verifyAudit } from "./audit.js";
import { checkEnvironments } from "./envCheck.js";
import { ageText, keyAges, type KeyAge } from "./keyAges.js";
import { specification, statusOf, type NodeStatus } from "./nodes.js";
import type { Places } from "./places.js";
import { underway } from "./rotate/journal.js";
import { summary } from "./summary.js";
import { table } from "./table.js";
import { paint } from "./updateView.js";

/** How an environment's keys and records stand, as far as this machine knows. */
export interface CustodyStatus {
  readonly keys: readonly KeyAge[];
  readonly audit: { readonly lines: number; readonly whole: boolean };
  /** What an operator should see to, each with what to do. */
  readonly warnings: readonly string[];
}

/** In days. */
const OLD = 365;

/** Looks at records, identity files and the deposit. Unlocks nothing and asks no host. */
export async function custodyOf(places: Places, stack: StackSpecification, now: Date): Promise<CustodyStatus> {
  const keys = keyAges(places);
  const audit = await verifyAudit(places, []);
  const state = checkEnvironments(places.project).find(({ environment }) => environment === places.environment);
  const store = folderStore(resolve(places.project, stack.deposit.folder));
  const deposits = await Promise.all(stack.nodes.map((node) => depositFault(store, { environment: stack.environment, node: node.id })));
  return {
    keys,
    audit: { lines: audit.lines, whole: audit.fault === undefined },
    warnings: [
      ...(state?.findings ?? []).map(({ path, found, wanted }) => `${path}: found ${found}; ${wanted}.`),
      ...(state?.notes ?? []),
      ...(audit.fault === undefined ? [] : [`The audit log is not whole: ${audit.fault} Look at it: holdfast audit verify -s ${places.environment}`]),
      ...audit.remarks.filter((remark) => remark.includes("never finished")).map((remark) => `Audit log, ${remark}`),
      ...underway(places.state).map(({ subject, began, phase, command }) => `The rotation of ${subject} is under way since ${began}, at "${phase}". It goes on with: ${command}`),
      ...deposits.filter((fault) => fault !== undefined),
      ...keys.filter((key) => isOld(key, now)).map((key) => `${nameOf(key)} is ${ageText(key, now)} old: ${remedyFor(key, places.environment)}`),
      ...keys.filter(({ waiting }) => waiting).map((key) => `${nameOf(key)} has new keys that wait for their first use: ${remedyFor(key, places.environment)}`),
    ],
  };
}

const isOld = ({ made, fixed }: KeyAge, now: Date): boolean => made !== undefined && !fixed && now.getTime() - Date.parse(made) > OLD * 86_400_000;

const nameOf = ({ key, node }: KeyAge): string => (node === undefined ? key : `${key} of ${node}`);

/** The passphrase goes with the environment's identity. */
const remedyFor = ({ key, node }: KeyAge, environment: string): string =>
  `holdfast rotate ${key === "passphrase" ? "age environment" : key} -s ${environment}${node === undefined ? "" : ` -n ${node}`}`;

/** The age of every key, those of one age on one line, the oldest first. */
export function keysText(keys: readonly KeyAge[], now: Date): string {
  const rows = new Map<string, { readonly made: string; readonly cells: readonly [string, string]; readonly names: string[] }>();
  for (const key of keys) {
    const cells = [key.node ?? "environment", ageText(key, now)] as const;
    const row = rows.get(cells.join("\0")) ?? { made: key.made ?? "unknown", cells, names: [] };
    row.names.push(`${key.key}${(key.version ?? 1) > 1 ? ` (version ${key.version})` : ""}`);
    rows.set(cells.join("\0"), row);
  }
  const sorted = [...rows.values()].sort((one, other) => one.made.localeCompare(other.made));
  return `${paint("bold", "keys")}\n${table(sorted.map(({ cells, names }) => [`  ${cells[0]}`, cells[1], names.join(", ")]))}`;
}

const print = (line: string): void => void process.stdout.write(`${line}\n`);

/** `holdfast status`: nodes, keys, and what an operator should see to. Exit 1 when a node is not open, or the records are wrong. */
export function statusCommand(program: Command, here: (options: { readonly stack: string }) => Places): void {
  program.command("status").description("show how each node is, from here, and how old every key is").option("-s, --stack <name>", "the environment", "dev").option("--json", "print as JSON")
    .action(async (options: { readonly stack: string; readonly json?: true }) => {
      const places = here(options);
      const stack = specification(places);
      const now = new Date();
      const [custody, ...nodes] = await Promise.all([custodyOf(places, stack, now), ...stack.nodes.map((node) => statusOf(stack, node))]) as [CustodyStatus, ...NodeStatus[]];
      if (nodes.some((node) => node.gate?.state !== "open") || !custody.audit.whole) process.exitCode = 1;
      if (options.json) return print(JSON.stringify({ environment: stack.environment, nodes, ...custody }));
      stack.nodes.forEach((node, index) => print(summary(nodes[index]!, node.tunnel?.peers.map((peer) => peer.name), now)));
      print(keysText(custody.keys, now));
      custody.warnings.forEach((warning) => print(`${paint("yellow", "!")} ${warning}`));
    });
}
