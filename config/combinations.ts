import { isIPv4 } from "node:net";
import type { FileIdentity } from "../formats/identity.js";
import type { Network } from "../formats/place.js";
import type { Service } from "../formats/services.js";
import { bitcoinPorts, localPorts, servicePorts } from "./ports.js";
import type { Finding } from "./refusal.js";
import type { NodeConfiguration } from "./schema.js";
import { isHostAddress } from "./text.js";

/** What a user can switch on. The others of formats/services.ts come by themselves, or cannot be configured yet (`withheld`). */
const selectable: readonly Service[] = [
  "bitcoind", "lnd", "lightning-loop", "clightning", "electrs", "fulcrum", "btcpayserver", "rtl", "mempool", "joinmarket", "joinmarket-ob-watcher", "liquidd", "nodeinfo",
  "bunker", "wireguard", "offsite-backup",
];

/** Why a service cannot be switched on, and what there is instead. */
const withheld: Partial<Record<Service, string>> = {
  "clightning-replication": "has no destination that a stack could name yet; wants to be left out",
  backups: "would copy LND's live channel.db, which must never be restored; wants to be left out, for every node has the off-site backup",
  "data-volume": "comes with nixos.dataVolume; wants that key instead",
  "encrypted-root": "comes with nixos.disks.encrypted; wants that key instead",
};

/** Which of these a service stands on. One is enough. nix/modules/services holds the same table. */
export const needs: Partial<Record<Service, readonly Service[]>> = {
  mempool: ["electrs", "fulcrum"], rtl: ["lnd", "clightning"], "lightning-loop": ["lnd"], "joinmarket-ob-watcher": ["joinmarket"],
};

/** Networks on which a service works. Everything else works on all of them. nix/modules/network holds the same table, with the reasons. */
export const worksOn: Partial<Record<Service, readonly Network[]>> = {
  "lightning-loop": ["mainnet"],
  btcpayserver: ["mainnet", "signet", "regtest"],
  mempool: ["mainnet", "testnet4", "signet"],
  joinmarket: ["mainnet", "regtest"],
  "joinmarket-ob-watcher": ["mainnet", "regtest"],
  liquidd: ["mainnet", "regtest"],
};

/** Services that an onion key may be named after: Tor serves their address once the gate has placed the key. nix/modules/services holds the same list. */
export const onionServices: readonly Service[] = ["bitcoind", "btcpayserver", "clightning", "electrs", "fulcrum", "joinmarket-ob-watcher", "liquidd", "lnd"];

/** A node's settings that are right one by one and wrong together: the same that nix/ asserts, said before anything is touched. */
export function combinationFindings(name: string, node: NodeConfiguration, network: Network): Finding[] {
  const at = (path: string, found: unknown, wanted: string): Finding => ({ path: `holdfast:nodes.${name}.${path}`, found: JSON.stringify(found), wanted });
  return [...serviceFindings(node, network, at), ...bunkerFindings(node, network, at), ...tunnelFindings(node, at), ...nixosFindings(node, at), ...hetznerFindings(node, at), ...portFindings(node, network, at)];
}

/** Daemons that start with an identity of the node's own, or never. */
export function identityFindings(name: string, services: readonly Service[], identities: readonly FileIdentity[]): Finding[] {
  const path = (key: string): string => `holdfast:nodes.${name}.${key}`;
  const hasSecret = !services.includes("clightning") || identities.some(({ kind }) => kind === "cln-hsm-secret");
  const stray = identities.filter((identity) => identity.kind === "onion-key" && !onionServices.some((service) => service === identity.name && services.includes(service)));
  return [
    ...(hasSecret ? [] : [{
      path: path("services"), found: JSON.stringify("clightning"),
      wanted: "starts with an hsm_secret of the node's own alone, and identities names none; wants the file that `holdfast wallet create --kind cln-hsm-secret` writes among them, or to be left out",
    }]),
    ...identities.filter(({ kind }) => kind === "nsec" && !services.includes("bunker")).map(({ name: signer }) => ({
      path: path("identities"), found: JSON.stringify(`nsec ${signer}`),
      wanted: "is a key of the bunker's, and the node has none (services); wants bunker among its services, with bunker: { relays: … } beside them, or to be left out",
    })),
    ...stray.map((identity) => ({
      path: path("identities"), found: JSON.stringify(`onion-key ${identity.name}`),
      wanted: `is named after no onion service of this node that waits for its key; wants the name of one of its services, ${onionServices.join(", ")}, or to be left out`,
    })),
  ];
}

type At = (path: string, found: unknown, wanted: string) => Finding;

function serviceFindings({ services }: NodeConfiguration, network: Network, at: At): Finding[] {
  const has = (service: Service): boolean => services.includes(service);
  const each = (wanted: (service: Service) => string | undefined): Finding[] => services.flatMap((service) => {
    const words = wanted(service);
    return words === undefined ? [] : [at("services", service, words)];
  });
  return [
    ...(has("lnd") ? [] : [at("services", services, "has no lnd, and the gate opens a node by LND's wallet (identity); wants lnd among them")]),
    ...each((service) => (selectable.includes(service) ? undefined : withheld[service])),
    ...each((service) => (needs[service] === undefined || needs[service].some(has) ? undefined : `stands on ${needs[service].join(" or ")}, which is not among the services; wants ${needs[service].length > 1 ? "one of them" : "it"} too`)),
    ...each((service) => (worksOn[service] === undefined || worksOn[service].includes(network) ? undefined : `does not work on ${network} (holdfast:network); wants to be left out, or one of the networks ${worksOn[service].join(", ")}`)),
    ...(has("electrs") && has("fulcrum") ? [at("services", ["electrs", "fulcrum"], "both serve Electrum on port 50001; wants one of them")] : []),
  ];
}

/** A bunker hears its clients at relays alone; without them it is none. */
function bunkerFindings({ bunker, services, tunnel }: NodeConfiguration, network: Network, at: At): Finding[] {
  if (bunker === undefined) return services.includes("bunker") ? [at("services", "bunker", "wants to know its relays; wants bunker: { relays: [wss://…], admins: [npub1…] } beside the services, or to be left out")] : [];
  if (!services.includes("bunker")) return [at("bunker", bunker, "is for the service bunker, which is not among the services (services); wants it there too, or not here")];
  const inTunnel = (host: string): boolean => tunnel !== "none" && isIPv4(host) && isHostAddress(tunnel.network, host);
  return bunker.relays.flatMap((relay, index) => {
    const { protocol, hostname } = new URL(relay);
    if (protocol === "wss:" || hostname === "localhost" || hostname === "[::1]" || hostname.startsWith("127.") || hostname.endsWith(".onion") || inTunnel(hostname)) return [];
    // Relays of a rehearsal are beside its machines.
    if (network === "regtest" && hostname.startsWith("10.")) return [];
    return [at(`bunker.relays.${index}`, relay, "is not encrypted on its way: whoever listens sees which keys are used, and when; wants wss://…, an onion address, or one on loopback or inside the node's tunnel")];
  });
}

/** What a tunnel excludes, and what wants one. */
function tunnelFindings({ tunnel, nixos, ssh, services }: NodeConfiguration, at: At): Finding[] {
  if (tunnel !== "none") {
    return nixos.isolation === "none" ? [] : [at("nixos.isolation", "netns", "hides every service from the tunnel (tunnel), and its iptables rules do nothing beside the tunnel's nftables; wants tunnel: none beside it, or none")];
  }
  return [
    ...(services.includes("wireguard") ? [at("services", "wireguard", "is the tunnel, and tunnel is none; wants to be left out, or a tunnel (tunnel: { peers: … })")] : []),
    ...(ssh.from === "tunnel" ? [at("ssh.from", "tunnel", "would leave no way in, for the node has no tunnel (tunnel is none); wants internet, or a tunnel (tunnel: { peers: … })")] : []),
    ...nixos.published.map((page) => at("nixos.published", page, "would answer inside the tunnel alone, and the node has none (tunnel is none); wants to be left out and reached over SSH (ssh -L), or a tunnel (tunnel: { peers: … })")),
  ];
}

function nixosFindings({ nixos, services }: NodeConfiguration, at: At): Finding[] {
  const { disks } = nixos;
  const wiped = disks.layout === "kept" ? [] : disks.layout === "mirror" ? disks.disks : [disks.disk];
  return [
    ...nixos.published.filter((page) => !services.includes(page)).map((page) => at("nixos.published", page, "is not among the services (services); wants it there too, or not here")),
    ...(disks.layout === "mirror" && disks.disks[0] === disks.disks[1] ? [at("nixos.disks.disks", disks.disks, "are one disk; wants two")] : []),
    ...(nixos.dataVolume !== undefined && wiped.includes(nixos.dataVolume) ? [at("nixos.dataVolume", nixos.dataVolume, "is a disk of nixos.disks, which an installation wipes; wants another one")] : []),
  ];
}

/** What comes with a server that the stack makes, and so cannot be said twice. */
function hetznerFindings({ host: { hetzner }, nixos }: NodeConfiguration, at: At): Finding[] {
  return hetzner === undefined || nixos.dataVolume === undefined ? []
    : [at("nixos.dataVolume", nixos.dataVolume, "comes with the server (host.hetzner.volume); wants to be left out")];
}

/** What listens, and on which TCP port: each wants one of its own. */
function portFindings({ lightning, services }: NodeConfiguration, network: Network, at: At): Finding[] {
  const findings: Finding[] = [];
  const owners = new Map<number, string>([
    ...services.flatMap((service) => (servicePorts[service] ?? []).map((port) => [port, service] as const)), ...servicePorts.bitcoind!.map((port) => [port, "bitcoind"] as const),
    [bitcoinPorts[network], "bitcoind"], [22, "SSH"], [9050, "Tor"], ...localPorts,
  ]);
  const take = (path: string, port: number): void => {
    const owner = owners.get(port);
    if (owner !== undefined) findings.push(at(path, port, `is the port of ${owner}; wants another one`));
    else owners.set(port, path);
  };
  take("lightning.p2pPort", lightning.p2pPort);
  take("lightning.restPort", lightning.restPort);
  if (services.includes("clightning")) take("lightning.clightningPort", lightning.clightningPort);
  return findings;
}
