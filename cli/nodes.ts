import type { OutputMap, Stack } from "@pulumi/pulumi/automation/index.js";
import type { NodeSummary } from "../components/node.js";
import { askAgent } from "../components/host/agent.js";
import { knock, type Answer } from "../components/system/knock.js";
import { policyOf } from "../components/network/policy.js";
import { filesOf, otherEnvironments } from "../config/project.js";
import { specify } from "../config/specify.js";
import { isHetzner, type NodeSpecification, type StackSpecification } from "../config/specification.js";
import { backupReportSchema, type BackupReport } from "../formats/backupReport.js";
import { gateReportSchema, type GateReport } from "../formats/gate.js";
import { activationSchema, probeSchema, type Activation, type Connection, type Probe } from "../formats/step.js";
import { bunkerOf, bunkerStatusSchema, type BunkerStatus } from "./bunker/host.js";
import { stackKeys } from "./prepare.js";
import type { Places } from "./places.js";

/** A port as somebody outside sees it, beside what the policy wants. */
export interface SeenPort {
  readonly port: number;
  readonly name: string;
  readonly wanted: "open" | "closed";
  readonly answer: Answer;
}

/** How a node is, seen from the operator's side. */
export interface NodeStatus {
  readonly name: string;
  readonly address: string;
  readonly generation: number;
  readonly nodePublicKey: string;
  /** What went wrong when the host could not be asked. */
  readonly unreachable?: string;
  readonly gate?: GateReport;
  readonly system?: Activation;
  readonly probe?: Probe;
  readonly backup?: BackupReport;
  /** Why the agent does not tell of its backup: one from before it could. */
  readonly backupUnknown?: string;
  /** Keys and relays of its bunker, where it has one that answers. */
  readonly bunker?: Pick<BunkerStatus, "keys" | "relays">;
  /** Why its bunker does not tell. */
  readonly bunkerUnknown?: string;
  /** What the last update left, when the host was not asked. */
  readonly known?: { readonly gate: string; readonly decision: string; readonly system: string };
  readonly ports: readonly SeenPort[];
}

/**
 * The specification behind a stack file, without asking Pulumi.
 *
 * @throws ConfigurationRefused
 */
export const specification = (places: Places): StackSpecification =>
  specify(places.environment, stackKeys(places), filesOf(places.project), otherEnvironments(places.project, places.environment));

/** What an update left in the stack's outputs of a node. */
export const summaryOf = (outputs: OutputMap, node: Pick<NodeSpecification, "name">): NodeSummary | undefined =>
  (outputs["nodes"]?.value as Record<string, NodeSummary> | undefined)?.[node.name];

/**
 * How a node's host is reached.
 *
 * @param summary what the last update left of the node: the one place where a cloud's server has its address and key
 */
export function connectionOf(stack: StackSpecification, node: NodeSpecification, summary?: Pick<NodeSummary, "address" | "hostKey">): Connection {
  const identity = stack.identityFile !== undefined && { identityFile: stack.identityFile };
  if (!isHetzner(node.host)) {
    const { generation: _, ...where } = node.host;
    return { ...where, ...identity };
  }
  if (summary === undefined) throw new Error(`${node.name} is a server at Hetzner, and where it is stands in the stack's outputs, which were not read. Is the stack up? holdfast up -s ${stack.environment}.`);
  return { user: "root", port: 22, address: summary.address, hostKey: summary.hostKey, ...identity };
}

const addressOf = (node: NodeSpecification, summary: Pick<NodeSummary, "address"> | undefined): string | undefined => (isHetzner(node.host) ? summary?.address : node.host.address);

/** Asks a node's agent and knocks at its ports from here. Never throws for a host that is away: that is a status too. */
export async function statusOf(stack: StackSpecification, node: NodeSpecification, summary?: NodeSummary): Promise<NodeStatus> {
  const address = addressOf(node, summary);
  const base = { name: node.name, address: address ?? "-", generation: node.host.generation, nodePublicKey: node.identity.nodePublicKey };
  const ports = await seenPorts(node, address);
  try {
    const connection = connectionOf(stack, node, summary);
    const gate = await askAgent(connection, "gate-report", {}, gateReportSchema, { deadline: 20_000 });
    const system = await askAgent(connection, "activation-report", {}, activationSchema, { deadline: 20_000 });
    const probe = await askAgent(connection, "probe", {}, probeSchema, { deadline: 20_000 });
    return { ...base, ports, gate, system, probe, ...await backupOf(connection), ...(node.bunker === undefined ? {} : await bunkerStatusOf(connection)) };
  } catch (error) {
    return { ...base, ports, unreachable: (error as Error).message };
  }
}

async function backupOf(connection: Connection): Promise<Pick<NodeStatus, "backup" | "backupUnknown">> {
  try {
    return { backup: await askAgent(connection, "backup-report", {}, backupReportSchema, { deadline: 20_000 }) };
  } catch (error) {
    return { backupUnknown: (error as Error).message };
  }
}

async function bunkerStatusOf(connection: Connection): Promise<Pick<NodeStatus, "bunker" | "bunkerUnknown">> {
  try {
    const { keys, relays } = await bunkerOf(connection, 20_000)(bunkerStatusSchema, "status");
    return { bunker: { keys, relays } };
  } catch (error) {
    return { bunkerUnknown: (error as Error).message };
  }
}

/** What the stack's outputs say of a node, and its ports from here. Opens no connection to the host's agent. */
export async function knownStatusOf(node: NodeSpecification, outputs: OutputMap): Promise<NodeStatus> {
  const summary = summaryOf(outputs, node);
  const address = addressOf(node, summary);
  return {
    name: node.name, address: address ?? "-", generation: node.host.generation, nodePublicKey: summary?.nodePublicKey ?? node.identity.nodePublicKey,
    ...(summary && { known: { gate: summary.gate, decision: summary.decision, system: summary.system } }),
    ports: await seenPorts(node, address),
  };
}

/** Ports that belong to services of a node and must never answer from outside. */
const LOCAL: readonly (readonly [number, string])[] = [[10009, "lnd-grpc"], [18334, "btcd-rpc"], [8332, "bitcoind-rpc"]];

async function seenPorts(node: NodeSpecification, address: string | undefined): Promise<SeenPort[]> {
  if (address === undefined) return [];
  const wanted = policyOf(node).filter((rule) => rule.protocol === "tcp")
    .map(({ port, name, from }) => ({ port, name, wanted: from === "internet" ? "open" as const : "closed" as const }));
  // Without a tunnel it answers on loopback alone, and the policy does not speak of it.
  const rest = node.tunnel === undefined ? [[node.lightning.restPort, "lnd-rest"] as const] : [];
  const all = [...wanted, ...[...rest, ...LOCAL].map(([port, name]) => ({ port, name, wanted: "closed" as const }))];
  return Promise.all(all.map(async (one) => ({ ...one, answer: await knock(address, one.port, 1000) })));
}

/** What a stack's outputs hold for peers of nodes with a tunnel, in clear. Handle with care. */
export async function secretOutputs(stack: Stack): Promise<{ readonly peers: Record<string, Record<string, string>>; readonly lndconnect: Record<string, string> }> {
  const outputs = await stack.outputs();
  if (outputs["peers"] === undefined || outputs["lndconnect"] === undefined) throw new Error("The stack has no outputs yet. Raise its nodes first: holdfast up.");
  return { peers: outputs["peers"].value as Record<string, Record<string, string>>, lndconnect: outputs["lndconnect"].value as Record<string, string> };
}
