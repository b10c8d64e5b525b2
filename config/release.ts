import { createHash } from "node:crypto";
import type { Network } from "../formats/place.js";
import type { ReleaseStatement } from "../formats/release.js";
import type { Finding } from "./refusal.js";
import type { NodeSpecification, StackSpecification } from "./specification.js";

/** `none`, or the stack on which a configuration must have been proven first. */
export type ProvenOn = string;

/** What a stack wants when it says nothing: real coins only behind a proof. */
export const provenOnByDefault = (network: Network): ProvenOn => (network === "mainnet" ? "testnet" : "none");

/**
 * A digest of a node's configuration, but for what makes it that node: names, keys, addresses, network, which disks, peers.
 *
 * @param sources of the flake and the agent (components/system/sources.ts)
 */
export function configurationDigest(node: NodeSpecification, sources: string): string {
  const { disks, dataVolume, published, ...nixos } = node.nixos;
  const matters = {
    sources,
    services: [...node.services].sort(),
    nixos: {
      ...nixos, published: [...published].sort(), dataVolume: dataVolume !== undefined,
      disks: disks.layout === "kept" ? { layout: disks.layout } : { layout: disks.layout, encrypted: disks.encrypted },
    },
    ports: { p2p: node.lightning.p2pPort, rest: node.lightning.restPort, tunnel: node.tunnel?.port ?? "none" },
    sshFrom: node.sshFrom,
  };
  return createHash("sha256").update(JSON.stringify(matters, (_, value: unknown) => sorted(value))).digest("hex");
}

/** Keys in one order, whatever the order in which they were written. */
const sorted = (value: unknown): unknown =>
  value === null || typeof value !== "object" || Array.isArray(value) ? value : Object.fromEntries(Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1)));

/** The records of the stack that proves, as far as they are of use. */
export interface Proven {
  /** Undefined: the project has no such stack, or its file names none that we know. */
  readonly network: string | undefined;
  /** Signed by somebody who may log in to the production hosts. */
  readonly statements: readonly ReleaseStatement[];
  /** Why others do not count. */
  readonly faults: readonly string[];
}

/**
 * Refuses a stack whose nodes run what was never proven elsewhere.
 *
 * @param provenOn the stack that must have proven it
 */
export function releaseFindings(stack: Pick<StackSpecification, "environment" | "nodes">, provenOn: ProvenOn, proven: Proven, sources: string): Finding[] {
  if (provenOn === "none") return [];
  const refuse = (path: string, wanted: string): Finding => ({ path, found: JSON.stringify(provenOn), wanted });
  const otherwise = "or say holdfast:release: { provenOn: none }";
  if (provenOn === stack.environment) return [refuse("holdfast:release.provenOn", `is this stack itself; wants a test stack, ${otherwise}`)];
  if (proven.network === undefined) return [refuse("holdfast:release.provenOn", `names a stack that the project does not have; write Pulumi.${provenOn}.yaml and raise it first, ${otherwise}`)];
  if (proven.network === "mainnet") return [refuse("holdfast:release.provenOn", `is on mainnet itself; wants a test stack, ${otherwise}`)];
  const known = new Set(proven.statements.filter(({ environment }) => environment === provenOn).flatMap(({ nodes }) => Object.values(nodes).map(({ configuration }) => configuration)));
  return stack.nodes.filter((node) => !known.has(configurationDigest(node, sources))).map((node) => ({
    path: `holdfast:nodes.${node.name}`,
    found: "a configuration that no test stack has proven",
    wanted: `wants the same services, nixos, ports and flake on a node of stack ${provenOn} first: holdfast up -s ${provenOn}, then holdfast release prove -s ${provenOn}; ${otherwise}${proven.faults.length === 0 ? "" : ` (proofs that do not count: ${proven.faults.join("; ")})`}`,
  }));
}
