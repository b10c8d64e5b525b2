import type { FileIdentity } from "../formats/identity.js";
import type { Network } from "../formats/place.js";
import type { Service } from "../formats/services.js";
import { localPorts, publishedPorts } from "./ports.js";
import type { Finding } from "./refusal.js";
import type { NodeConfiguration } from "./schema.js";

/** What a user can switch on. The others of formats/services.ts come by themselves, or cannot be configured yet (`withheld`). */
const selectable: readonly Service[] = [
  "bitcoind", "lnd", "lightning-loop", "clightning", "electrs", "fulcrum", "btcpayserver", "rtl", "mempool", "joinmarket", "joinmarket-ob-watcher", "liquidd", "nodeinfo",
  "wireguard", "offsite-backup",
];

/** Why a service cannot be switched on, and what there is instead. */
const withheld: Partial<Record<Service, string>> = {
  "clightning-replication": "has no destination that a stack could name yet; wants to be left out",
  backups: "would copy LND's live channel.db, which must never be restored; wants to be left out, for every node has the off-site backup",
  bunker: "has no module yet; wants to be left out",
  "data-volume": "comes with nixos.dataVolume; wants that key instead",
  "encrypted-root": "comes with nixos.disks.encrypted; wants that key instead",
};

/** Which of these a service stands on. One is enough. */
const needs: Partial<Record<Service, readonly Service[]>> = {
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

/** A node's settings that are right one by one and wrong together: the same that nix/ asserts, said before anything is touched. */
export function combinationFindings(name: string, node: NodeConfiguration, network: Network): Finding[] {
  const at = (path: string, found: unknown, wanted: string): Finding => ({ path: `holdfast:nodes.${name}.${path}`, found: JSON.stringify(found), wanted });
  return [...serviceFindings(node, network, at), ...nixosFindings(node, at), ...portFindings(node, at)];
}

/** Daemons that start with an identity of the node's own, or never. */
export function identityFindings(name: string, services: readonly Service[], identities: readonly FileIdentity[]): Finding[] {
  if (!services.includes("clightning") || identities.some(({ kind }) => kind === "cln-hsm-secret")) return [];
  return [{
    path: `holdfast:nodes.${name}.services`, found: JSON.stringify("clightning"),
    wanted: "starts with an hsm_secret of the node's own alone, and identities names none; wants the file that `holdfast wallet create --kind cln-hsm-secret` writes among them, or to be left out",
  }];
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

function nixosFindings({ nixos, services }: NodeConfiguration, at: At): Finding[] {
  const { disks } = nixos;
  const wiped = disks.layout === "kept" ? [] : disks.layout === "mirror" ? disks.disks : [disks.disk];
  return [
    ...(nixos.isolation === "netns"
      ? [at("nixos.isolation", "netns", "hides every service from the tunnels (tunnel), and its iptables rules do nothing beside our nftables; both are on every node; wants none")]
      : []),
    ...nixos.published.filter((page) => !services.includes(page)).map((page) => at("nixos.published", page, "is not among the services (services); wants it there too, or not here")),
    ...(disks.layout === "mirror" && disks.disks[0] === disks.disks[1] ? [at("nixos.disks.disks", disks.disks, "are one disk; wants two")] : []),
    ...(nixos.dataVolume !== undefined && wiped.includes(nixos.dataVolume) ? [at("nixos.dataVolume", nixos.dataVolume, "is a disk of nixos.disks, which an installation wipes; wants another one")] : []),
  ];
}

/** What listens, and on which TCP port: each wants one of its own. */
function portFindings({ lightning, services }: NodeConfiguration, at: At): Finding[] {
  const findings: Finding[] = [];
  const pages = Object.keys(publishedPorts) as (keyof typeof publishedPorts)[];
  const owners = new Map<number, string>([[22, "SSH"], ...localPorts, ...pages.filter((page) => services.includes(page)).map((page) => [publishedPorts[page], page] as const)]);
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
