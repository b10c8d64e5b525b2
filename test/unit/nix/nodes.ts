import type { z } from "zod";
import { hostLayout } from "../../../formats/hostLayout.js";
import type { Service } from "../../../formats/services.js";
import type { settingsSchema } from "../../../formats/settings.js";
import type { Unit } from "./evaluate.js";

export type NodeSettings = z.input<typeof settingsSchema>;

/** A node's settings, with these services beside what every node has. */
export function nodeWith(services: readonly Service[] = ["lnd"], overrides: Partial<NodeSettings> = {}): NodeSettings {
  return {
    format: "holdfast-settings/1",
    place: { environment: "prod", network: "mainnet", node: "alice", generation: 1 },
    authorizedKeys: ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA deploy"],
    lightning: { alias: "alice", nodePublicKey: `02${"0".repeat(64)}`, p2pPort: 9735, restPort: 8080 },
    services: ["bitcoind", "wireguard", "offsite-backup", ...services],
    identities: services.includes("clightning") ? [{ kind: "cln-hsm-secret", name: "main", publicIdentity: `03${"1".repeat(64)}` }] : [],
    bitcoin: { peers: [], rpcUser: "privileged" },
    tunnel: {
      address: "10.10.0.1", prefixLength: 24, port: 51820, publicKey: `${"A".repeat(43)}=`,
      peers: [{ name: "phone", address: "10.10.0.2", publicKey: `${"B".repeat(42)}A=` }],
    },
    firewall: { policy: [], ruleset: "table inet holdfast\ndelete table inet holdfast\ntable inet holdfast {\n}\n" },
    backup: { repository: "rest:https://192.0.2.1:8000/alice/", user: "alice" },
    ...overrides,
  };
}

/** Everything a user can have on mainnet at once. */
export const everything: readonly Service[] = [
  "lnd", "lightning-loop", "clightning", "fulcrum", "btcpayserver", "rtl", "mempool", "joinmarket", "joinmarket-ob-watcher", "liquidd", "nodeinfo",
];

/** Names of all units that a unit's start starts, itself included: by the links of both ends, and a timer's, socket's or path's own service. */
export function pulledIn(units: Readonly<Record<string, Unit>>, from: string): string[] {
  const reached = new Set<string>();
  const waiting = [from];
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
    if (reached.has(name)) continue;
    reached.add(name);
    const unit = units[name];
    if (unit !== undefined) waiting.push(...unit.wants, ...unit.requires, ...unit.bindsTo, ...unit.upholds);
    waiting.push(...Object.entries(units).filter(([, other]) => other.wantedBy.includes(name) || other.requiredBy.includes(name)).map(([other]) => other));
    if (/\.(timer|socket|path)$/.test(name)) waiting.push(name.replace(/\.\w+$/, ".service"));
    // What a machine reaches on its way to multi-user.target.
    if (name === "multi-user.target") waiting.push("basic.target", "sysinit.target", "sockets.target", "timers.target", "paths.target", "local-fs.target", "remote-fs.target", "network.target");
  }
  return [...reached].sort();
}

/** Everything that waits for the gate. */
export const gated = ["lnd.service", "lnd-unopened.service", "clightning.service", "lightning-loop.service", "rtl.service", "holdfast-backup.service", hostLayout.identityTarget] as const;
