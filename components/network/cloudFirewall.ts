import type { PolicyRule } from "../../formats/settings.js";

/** A rule as Hetzner's firewalls have them: what is not allowed is dropped, answers pass by themselves. */
export interface CloudRule {
  readonly direction: "in";
  readonly protocol: "tcp" | "udp" | "icmp";
  readonly port?: string;
  readonly sourceIps: string[];
  readonly description: string;
}

const ANYWHERE = ["0.0.0.0/0", "::/0"];

/**
 * The cloud's half of the firewall policy: what the internet may reach. What answers inside the tunnel arrives at the tunnel's own port, and has no rule here.
 *
 * ICMP passes: errors such as "packet too big" must reach the host (RFC 4890, RFC 2979 section 3.1.1), the cloud cannot tell its types apart, and the host's own
 * firewall drops all but those errors.
 */
export const cloudRules = (policy: readonly PolicyRule[]): CloudRule[] => [
  ...policy.filter(({ from }) => from === "internet").map(({ name, protocol, port }): CloudRule => ({ direction: "in", protocol, port: String(port), sourceIps: ANYWHERE, description: name })),
  { direction: "in", protocol: "icmp", sourceIps: ANYWHERE, description: "icmp-errors" },
];
