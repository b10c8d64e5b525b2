import type { NodeSpecification } from "../../config/specification.js";
import type { Place } from "../../formats/place.js";
import type { FirewallBackend, Settings } from "../../formats/settings.js";
import { rulesetOf } from "../network/firewall.js";
import { policyOf, policyRefusals } from "../network/policy.js";
import type { TunnelPeer } from "../network/wireguard.js";

/** Where a node's sealed things belong. */
export const placeOf = (node: NodeSpecification): Place => ({
  environment: node.environment, network: node.network, node: node.id, generation: node.host.generation,
});

/**
 * What the stack hands to Nix and to the agent: public facts alone, for it goes into the Nix store.
 *
 * @param tunnel the node's key and its peers'; absent where the node has no tunnel
 * @throws when the firewall policy would open what must never be open, and on a tunnel without keys
 */
export function settingsOf(
  node: NodeSpecification,
  authorizedKeys: readonly string[],
  tunnel?: { readonly publicKey: string; readonly peers: readonly TunnelPeer[] },
): Settings {
  if ((node.tunnel === undefined) !== (tunnel === undefined)) throw new Error(`Node ${node.name} has ${node.tunnel === undefined ? "no tunnel, and keys of one" : "a tunnel, and no keys for it"}.`);
  const policy = policyOf(node);
  // The scripts of nix-bitcoin's network namespaces call iptables.
  const backend: FirewallBackend = node.nixos.isolation === "netns" ? "iptables" : "nftables";
  const refusals = policyRefusals(policy);
  if (refusals.length > 0) throw new Error(`The firewall policy of ${node.name} is refused: ${refusals.join("; ")}.`);
  return {
    format: "holdfast-settings/1",
    place: placeOf(node),
    authorizedKeys: [...authorizedKeys],
    lightning: {
      alias: node.lightning.alias, nodePublicKey: node.identity.nodePublicKey, p2pPort: node.lightning.p2pPort, restPort: node.lightning.restPort,
      ...(node.services.includes("clightning") && { clightningPort: node.lightning.clightningPort }),
    },
    services: [...node.services],
    nixos: node.nixos,
    identities: node.identities.map(({ kind, name, publicIdentity }) => ({ kind, name, publicIdentity })),
    bitcoin: { peers: [...node.bitcoinPeers], rpcUser: "privileged" },
    ...(node.bunker !== undefined && { bunker: { relays: [...node.bunker.relays], admins: [...node.bunker.admins] } }),
    ...(node.tunnel !== undefined && tunnel !== undefined && {
      tunnel: {
        address: node.tunnel.address, prefixLength: node.tunnel.prefixLength, port: node.tunnel.port, publicKey: tunnel.publicKey,
        peers: tunnel.peers.map((peer) => ({ ...peer })),
      },
    }),
    firewall: { policy, backend, ruleset: rulesetOf(policy, backend) },
    backup: {
      repository: node.backup.repository, user: node.backup.user,
      ...(node.backup.certificate !== undefined && { certificate: node.backup.certificate }),
    },
  };
}
