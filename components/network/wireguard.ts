import * as pulumi from "@pulumi/pulumi";
import * as random from "@pulumi/random";
import type { NodeSpecification, PeerSpecification } from "../../config/specification.js";
import { publicKeyOf, wireguardKeys, type WireguardKeys } from "../secrets/derive.js";
import { presharedKey } from "../secrets/registry.js";
import type { Secrets } from "../secrets/secrets.js";

/** A peer as the node knows it. */
export interface TunnelPeer extends PeerSpecification {
  readonly publicKey: string;
}

/** The node's end of its tunnels, and a finished configuration for each peer. Peers' private keys never reach the node. */
export class Tunnels extends pulumi.ComponentResource {
  readonly publicKey: pulumi.Output<string>;
  readonly peers: pulumi.Output<TunnelPeer[]>;
  /** What a peer pastes or scans, by peer name. Secret. */
  readonly configurations: pulumi.Output<Record<string, string>>;

  constructor(name: string, args: { readonly specification: NodeSpecification; readonly secrets: Secrets }, options?: pulumi.ComponentResourceOptions) {
    super("holdfast:network:Tunnels", name, {}, options);
    const { id, tunnel } = args.specification;
    const own = tunnel.peers.map((peer) => ({ peer, keys: this.#peerKeys(name, id, peer.name) }));
    this.publicKey = pulumi.unsecret(args.secrets.value("wireguard-node").apply(publicKeyOf));
    this.peers = pulumi.unsecret(pulumi.all(own.map(({ peer, keys }) => keys.apply(({ publicKey }) => ({ ...peer, publicKey })))));
    this.configurations = pulumi.secret(pulumi.all(Object.fromEntries(own.map(({ peer, keys }) => [
      peer.name,
      pulumi.all([keys, this.publicKey, args.secrets.value(presharedKey(peer.name).id)]).apply(([{ privateKey }, publicKey, psk]) =>
        peerConfiguration({ privateKey, presharedKey: psk, address: peer.address, node: { publicKey, endpoint: tunnel.endpoint, address: tunnel.address } })),
    ]))));
    this.registerOutputs({ publicKey: this.publicKey, configurations: this.configurations });
  }

  #peerKeys(name: string, nodeId: string, peer: string): pulumi.Output<WireguardKeys> {
    return new random.RandomPassword(`${name}-${peer}-root`, { length: 64, special: false }, { parent: this })
      .result.apply((root) => wireguardKeys(root, `${nodeId}/wireguard-peer-${peer}/1`));
  }
}

/** A peer's configuration file: it may reach the node's address and nothing else. @see wg-quick(8) */
export function peerConfiguration(peer: {
  readonly privateKey: string;
  readonly presharedKey: string;
  readonly address: string;
  readonly node: { readonly publicKey: string; readonly endpoint: string; readonly address: string };
}): string {
  return [
    "[Interface]",
    `PrivateKey = ${peer.privateKey}`,
    `Address = ${peer.address}/32`,
    "",
    "[Peer]",
    `PublicKey = ${peer.node.publicKey}`,
    `PresharedKey = ${peer.presharedKey}`,
    `Endpoint = ${peer.node.endpoint}`,
    `AllowedIPs = ${peer.node.address}/32`,
    "PersistentKeepalive = 25",
    "",
  ].join("\n");
}
