import { describe, expect, it } from "vitest";
import { wallRuleset } from "../../../../../rehearsal/cloud/backend/filter.js";

const rulesOf = (...args: Parameters<typeof wallRuleset>): string[] => wallRuleset(...args).split("\n").filter((line) => line.startsWith("add rule inet wall forward ")).map((line) => line.slice("add rule inet wall forward ".length));
const always = ["meta mark 1 accept", "ct state established,related accept", "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept"];

describe("a server's wall", () => {
  it("lets everything through where no firewall is attached, and nothing where an empty one is", () => {
    expect(rulesOf(undefined)).toEqual([...always, "accept"]);
    expect(rulesOf([])).toEqual(always);
  });
  it("has one rule for each source, of the source's family", () => {
    expect(rulesOf([
      { protocol: "tcp", port: "22", sources: ["0.0.0.0/0", "::/0"] },
      { protocol: "udp", port: "1000-2000", sources: ["203.0.113.0/24", "203.0.113.0/25"] },
      { protocol: "tcp", port: "any", sources: ["2001:db8::/32"] },
      { protocol: "icmp", sources: ["0.0.0.0/0", "::/0"] },
      { protocol: "gre", sources: ["198.51.100.1/32"] },
      { protocol: "esp", sources: [] },
    ]).slice(always.length)).toEqual([
      "ip saddr 0.0.0.0/0 tcp dport 22 accept", "ip6 saddr ::/0 tcp dport 22 accept",
      "ip saddr 203.0.113.0/24 udp dport 1000-2000 accept", "ip saddr 203.0.113.0/25 udp dport 1000-2000 accept",
      "ip6 saddr 2001:db8::/32 tcp dport 1-65535 accept",
      "ip saddr 0.0.0.0/0 meta l4proto icmp accept", "ip6 saddr ::/0 meta l4proto ipv6-icmp accept",
      "ip saddr 198.51.100.1/32 meta l4proto gre accept",
    ]);
  });
  it("drops by policy, and is replaced in one transaction that never stands open", () => {
    const text = wallRuleset([]);
    expect(text).toContain("type filter hook forward priority filter; policy drop;");
    expect(text.indexOf("flush table inet wall")).toBeLessThan(text.indexOf("add rule inet wall forward"));
  });
  it.each([
    [{ protocol: "tcp", port: "80 accept", sources: ["0.0.0.0/0"] } as const, '"80 accept" is no port of tcp'],
    [{ protocol: "tcp", port: "80", sources: ["0.0.0.0/0; flush ruleset"] } as const, "is no network"],
    [{ protocol: "tcp", port: "80", sources: ["example.org/24"] } as const, '"example.org/24" is no network'],
  ])("takes nothing that is not a port or a network", (rule, message) => expect(() => wallRuleset([rule])).toThrow(message));
});
