import type { NodeSpecification } from "../../config/specification.js";
import type { PolicyRule } from "../../formats/settings.js";

/** Who may reach what of a node: the one table from which the host's firewall, the cloud's and the probes from outside are made. What is not here is dropped. */
export function policyOf(node: Pick<NodeSpecification, "lightning" | "tunnel" | "sshFrom">): PolicyRule[] {
  return [
    { name: "ssh", protocol: "tcp", port: 22, from: node.sshFrom },
    { name: "lightning", protocol: "tcp", port: node.lightning.p2pPort, from: "internet" },
    { name: "wireguard", protocol: "udp", port: node.tunnel.port, from: "internet" },
    { name: "lnd-rest", protocol: "tcp", port: node.lightning.restPort, from: "tunnel" },
  ];
}

/** Local services that no rule may ever open: whoever reaches them owns the node. */
const NEVER = new Map([[8332, "bitcoind's RPC"], [18334, "btcd's RPC"], [18443, "bitcoind's RPC"], [10009, "LND's gRPC"], [9051, "Tor's control port"]]);

/** What a policy must not say, in words, with the remedy; empty when it is sound. */
export function policyRefusals(policy: readonly PolicyRule[]): string[] {
  const refusals = policy.filter((rule) => rule.protocol === "tcp" && NEVER.has(rule.port))
    .map((rule) => `the rule ${rule.name} would open port ${rule.port}, ${NEVER.get(rule.port)}, to the ${rule.from}; give the service another port`);
  const seen = new Map<string, string>();
  for (const rule of policy) {
    const key = `${rule.protocol} ${rule.port}`;
    const other = seen.get(key);
    if (other !== undefined) refusals.push(`the rules ${other} and ${rule.name} both name ${key}; give one of them another port`);
    seen.set(key, rule.name);
  }
  return refusals;
}
