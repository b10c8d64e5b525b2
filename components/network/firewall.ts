import { createHash } from "node:crypto";
import type { FirewallBackend, PolicyRule } from "../../formats/settings.js";

/** The interface of the node's tunnels. */
export const TUNNEL_INTERFACE = "wg-node";

const TABLE = "inet holdfast";

/** NixOS's own chain for the input of an iptables firewall, and where it sends what is accepted. */
const CHAIN = "nixos-fw";
const ACCEPT = "nixos-fw-accept";

/** The host's ruleset, in its backend's words. */
export const rulesetOf = (policy: readonly PolicyRule[], backend: FirewallBackend = "nftables"): string => (backend === "nftables" ? tableOf(policy) : chainRulesOf(policy));

/**
 * Rules for NixOS's iptables firewall, as `iptables -S` prints them: what the policy names, and a rule that matches everything and does nothing, whose comment is the digest of the others.
 * NixOS brings what comes before them (loopback, answers to what was asked) and after them (all else is dropped).
 *
 * @throws on a rule for the tunnel: this backend is for nodes without one
 * @see iptables-extensions(8), comment; nixpkgs nixos/modules/services/networking/firewall-iptables.nix
 */
function chainRulesOf(policy: readonly PolicyRule[]): string {
  const inside = policy.find(({ from }) => from === "tunnel");
  if (inside !== undefined) throw new Error(`The firewall's rule ${inside.name} is for the tunnel, and a firewall of iptables (nixos.isolation: netns) knows none. Give the node a tunnel without isolation, or take the rule away.`);
  const rules = policy.map(({ name, protocol, port }) => `-A ${CHAIN} -p ${protocol} -m ${protocol} --dport ${port} -m comment --comment ${name} -j ${ACCEPT}`);
  return [`-A ${CHAIN} -m comment --comment "policy ${policyDigest(rules)}"`, ...rules, ""].join("\n");
}

/**
 * The host's nftables ruleset: one table, replaced in one transaction, that drops what the policy does not name.
 * A peer of the tunnel reaches what the policy names for the tunnel, and not what it names for the internet.
 * Its comment is the digest of its rules, so that a probe can tell which policy is loaded.
 *
 * @see nft(8)
 */
function tableOf(policy: readonly PolicyRule[]): string {
  const rules = policy.map((rule) =>
    `    iifname ${rule.from === "tunnel" ? "" : "!= "}"${TUNNEL_INTERFACE}" ${rule.protocol} dport ${rule.port} accept comment "${rule.name}"`);
  const chains = [
    "  chain input {",
    "    type filter hook input priority filter; policy drop;",
    '    iif "lo" accept',
    "    ct state established,related accept",
    "    ct state invalid drop",
    ...rules,
    "    icmpv6 type { destination-unreachable, packet-too-big, time-exceeded, parameter-problem, nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert } accept",
    "    icmp type { destination-unreachable, time-exceeded, parameter-problem } accept",
    "  }",
    "  chain forward {",
    "    type filter hook forward priority filter; policy drop;",
    "  }",
  ];
  return [
    `table ${TABLE}`,
    `delete table ${TABLE}`,
    `table ${TABLE} {`,
    `  comment "policy ${policyDigest(chains)}"`,
    ...chains,
    "}",
    "",
  ].join("\n");
}

const policyDigest = (chains: readonly string[]): string => createHash("sha256").update(chains.join("\n")).digest("hex").slice(0, 32);
