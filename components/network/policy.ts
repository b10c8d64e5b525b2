import { localPorts, publishedPorts } from "../../config/ports.js";
import type { NodeSpecification, TunnelSpecification } from "../../config/specification.js";
import type { PolicyRule } from "../../formats/settings.js";

/**
 * Who may reach what of a node: the one table from which the host's firewall, the cloud's and the probes from outside are made. What is not here is dropped,
 * and a service that is not on the node has no rule.
 */
export function policyOf(node: Pick<NodeSpecification, "lightning" | "tunnel" | "sshFrom" | "services" | "nixos">): PolicyRule[] {
  const has = (service: NodeSpecification["services"][number]): boolean => node.services.includes(service);
  return [
    { name: "ssh", protocol: "tcp", port: 22, from: node.sshFrom },
    ...(has("lnd") ? [{ name: "lightning", protocol: "tcp", port: node.lightning.p2pPort, from: "internet" } as const] : []),
    ...(has("clightning") ? [{ name: "clightning", protocol: "tcp", port: node.lightning.clightningPort, from: "internet" } as const] : []),
    ...(node.tunnel === undefined ? [] : insideTunnel(node, node.tunnel)),
  ];
}

/** The tunnel's own port, and what answers inside it. */
function insideTunnel({ services, lightning, nixos }: Pick<NodeSpecification, "lightning" | "services" | "nixos">, { port }: TunnelSpecification): PolicyRule[] {
  return [
    { name: "wireguard", protocol: "udp", port, from: "internet" },
    ...(services.includes("lnd") ? [{ name: "lnd-rest", protocol: "tcp", port: lightning.restPort, from: "tunnel" } as const] : []),
    ...nixos.published.filter((page) => services.includes(page)).map((page): PolicyRule => ({ name: page, protocol: "tcp", port: publishedPorts[page], from: "tunnel" })),
  ];
}

/** What a policy must not say, in words, with the remedy; empty when it is sound. */
export function policyRefusals(policy: readonly PolicyRule[]): string[] {
  const refusals = policy.filter((rule) => rule.protocol === "tcp" && localPorts.has(rule.port))
    .map((rule) => `the rule ${rule.name} would open port ${rule.port}, ${localPorts.get(rule.port)}, to the ${rule.from}; give the service another port`);
  const seen = new Map<string, string>();
  for (const rule of policy) {
    const key = `${rule.protocol} ${rule.port}`;
    const other = seen.get(key);
    if (other !== undefined) refusals.push(`the rules ${other} and ${rule.name} both name ${key}; give one of them another port`);
    seen.set(key, rule.name);
  }
  return refusals;
}
