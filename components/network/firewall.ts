import { createHash } from "node:crypto";
import type { PolicyRule } from "../../formats/settings.js";

/** The interface of the node's tunnels. */
export const TUNNEL_INTERFACE = "wg-node";

const TABLE = "inet holdfast";

/**
 * The host's nftables ruleset: one table, replaced in one transaction, that drops what the policy does not name.
 * A peer of the tunnel reaches what the policy names for the tunnel, and not what it names for the internet.
 * Its comment is the digest of its rules, so that a probe can tell which policy is loaded.
 *
 * @see nft(8)
 */
export function rulesetOf(policy: readonly PolicyRule[]): string {
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
