import { isIPv4, isIPv6 } from "node:net";
import type { FilterRule } from "../backend.js";

/** What came from the machine is marked as it enters the wall. No mark gets in from elsewhere: the kernel clears it between namespaces. */
const FROM_MACHINE = 1;

/** An address without its neighbours cannot be reached at all, by whatever rules. */
const NEIGHBOURS = "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept";

const ANY_PORT = "1-65535";

/**
 * The wall in front of a machine, as nft reads it: one transaction, and the connections that stand stay.
 *
 * It stands in a namespace of its own, between the bridge and the machine, where bridged packets are shown to the rules of families ip and
 * ip6 with connection tracking (that of family bridge is not in every kernel). ARP is never shown.
 *
 * @param rules undefined lets everything through, an empty list nothing that the machine did not begin
 * @see nft(8), and the kernel's br_netfilter
 */
export function wallRuleset(rules: readonly FilterRule[] | undefined): string {
  const through = rules === undefined ? ["accept"] : rules.flatMap(statements);
  return [
    "table netdev wall {",
    "  chain fromMachine {",
    '    type filter hook ingress device "inside" priority filter;',
    "  }",
    "}",
    "table inet wall {",
    "  chain forward {",
    "    type filter hook forward priority filter; policy drop;",
    "  }",
    "}",
    "flush table netdev wall",
    "flush table inet wall",
    `add rule netdev wall fromMachine meta mark set ${FROM_MACHINE}`,
    ...[`meta mark ${FROM_MACHINE} accept`, "ct state established,related accept", NEIGHBOURS, ...through].map((rule) => `add rule inet wall forward ${rule}`),
    "",
  ].join("\n");
}

/** One for each source: networks may contain one another, which a set of nft may not. @throws when a source or a port is none */
function statements({ protocol, port, sources }: FilterRule): string[] {
  return sources.map((source) => {
    const family = familyOf(source);
    return `${family} saddr ${source} ${match(protocol, port, family)} accept`;
  });
}

function familyOf(source: string): "ip" | "ip6" {
  const [address = "", length = "", ...rest] = source.split("/");
  if (/^\d{1,3}$/.test(length) && rest.length === 0) {
    if (isIPv4(address)) return "ip";
    if (isIPv6(address)) return "ip6";
  }
  throw new Error(`"${source}" is no network: 203.0.113.0/24 or 2001:db8::/32 is what a filter's source looks like`);
}

function match(protocol: FilterRule["protocol"], port: string | undefined, family: "ip" | "ip6"): string {
  if (protocol === "icmp") return `meta l4proto ${family === "ip" ? "icmp" : "ipv6-icmp"}`;
  if (protocol !== "tcp" && protocol !== "udp") return `meta l4proto ${protocol}`;
  const ports = port === undefined || port === "any" ? ANY_PORT : port;
  if (!/^\d{1,5}(-\d{1,5})?$/.test(ports)) throw new Error(`"${ports}" is no port of ${protocol}: 80 or 1000-2000 is what a filter's port looks like`);
  return `${protocol} dport ${ports}`;
}
