import * as pulumi from "@pulumi/pulumi";
import type { NodeSpecification, PeerSpecification, TunnelSpecification } from "../../config/specification.js";
import type { SecretFile } from "../../formats/bundle.js";
import type { Roots } from "../../formats/roots.js";
import { derive, publicKeyOf, wireguardKeys } from "../secrets/derive.js";
import { presharedKey, secretId } from "../secrets/registry.js";
import { makeRoot, rootName, type RootArgs } from "../secrets/root.js";
import type { Secrets } from "../secrets/secrets.js";

/** A peer as the node knows it. */
export interface TunnelPeer {
  readonly name: string;
  /** Absent: keys that must still prove themselves. Such a peer can make a handshake, and reaches nothing. */
  readonly address?: string;
  readonly publicKey: string;
  /** The preshared key's file in the secrets directory, when it is not `wg-psk-<name>`. */
  readonly presharedKey?: string;
}

/** Under what a peer's keys stand in versions.json and in a deposit. */
export const peerKeysId = (peer: string): string => `wireguard-peer-${peer}`;

/** A peer's next keys have a name of their own until they have proven themselves. */
export const candidateName = (peer: string): string => `${peer}-next`;

/** Keys stay what they were when a candidate takes its predecessor's place: each version has a root of its own. */
const rootOf = (peer: string, version: number): RootArgs => ({ id: peer, version, replaced: "beside" });

/**
 * The name of the resource that holds the root of a peer's keys.
 *
 * @param tunnels the component's name: `<node id>-tunnels`
 */
export const peerRootName = (tunnels: string, peer: string, version: number): string => rootName(tunnels, rootOf(peer, version));

/** One version of a peer's keys. The first one's preshared key is a secret of the registry; a later one's comes from the peer's own root. */
interface PeerKeys {
  readonly version: number;
  readonly root: pulumi.Output<string>;
  readonly privateKey: pulumi.Output<string>;
  readonly presharedKey: pulumi.Output<string>;
}

export interface TunnelsArgs {
  readonly specification: Pick<NodeSpecification, "id" | "name" | "versions">;
  readonly tunnel: TunnelSpecification;
  readonly secrets: Secrets;
}

/** The node's end of its tunnels, and a finished configuration for each peer. Peers' private keys never reach the node. */
export class Tunnels extends pulumi.ComponentResource {
  readonly publicKey: pulumi.Output<string>;
  /** Candidates stand behind their predecessors. */
  readonly peers: pulumi.Output<TunnelPeer[]>;
  /** What a peer pastes or scans, by peer name; a candidate's under `candidateName`. Secret. */
  readonly configurations: pulumi.Output<Record<string, string>>;
  /** Preshared keys that are not in the registry: those of rotated peers. Secret. */
  readonly files: pulumi.Output<SecretFile[]>;
  /** What the peers' keys derive from, by `peerKeysId`; a candidate's under that of its `candidateName`. Secret. */
  readonly roots: pulumi.Output<Roots["roots"]>;

  /** @throws when a peer has the name of another one's candidate */
  constructor(name: string, args: TunnelsArgs, options?: pulumi.ComponentResourceOptions) {
    super("holdfast:network:Tunnels", name, {}, options);
    const { tunnel } = args;
    requireNames(args.specification, tunnel);
    const ends = tunnel.peers.map((peer) => this.#endOf(name, args, peer));
    const known = ends.flatMap(({ peer, current, candidate }) => [
      { name: peer.name, address: peer.address, at: peer.address, keys: current },
      ...(candidate === undefined ? [] : [{ name: candidateName(peer.name), at: peer.address, keys: candidate, of: peer.name }]),
    ]);

    this.publicKey = pulumi.unsecret(args.secrets.value("wireguard-node").apply(publicKeyOf));
    this.peers = pulumi.unsecret(pulumi.all(known.map(({ name: own, address, keys, of }) => keys.privateKey.apply((privateKey): TunnelPeer => ({
      name: own, ...(address !== undefined && { address }), publicKey: publicKeyOf(privateKey), ...(keys.version > 1 && { presharedKey: fileOf(of ?? own, keys.version) }),
    })))));
    this.configurations = pulumi.secret(pulumi.all(Object.fromEntries(known.map(({ name: own, at, keys }) => [
      own,
      pulumi.all([keys.privateKey, keys.presharedKey, this.publicKey]).apply(([privateKey, psk, publicKey]) =>
        peerConfiguration({ privateKey, presharedKey: psk, address: at, node: { publicKey, endpoint: tunnel.endpoint, address: tunnel.address } })),
    ]))));
    this.files = pulumi.secret(pulumi.all(known.filter(({ keys }) => keys.version > 1).map(({ name: own, keys, of }) =>
      keys.presharedKey.apply((psk) => presharedFile(of ?? own, keys.version, psk)))));
    this.roots = pulumi.secret(pulumi.all(Object.fromEntries(known.map(({ name: own, keys }) => [
      peerKeysId(own), keys.root.apply((value) => ({ version: keys.version, value })),
    ]))));
    this.registerOutputs({ publicKey: this.publicKey, configurations: this.configurations });
  }

  /** A peer's keys, and those that shall follow. */
  #endOf(name: string, { specification, secrets }: TunnelsArgs, peer: PeerSpecification) {
    const { version, candidate } = specification.versions[peerKeysId(peer.name)] ?? { version: 1 };
    const keysOf = (one: number): PeerKeys => {
      const root = makeRoot(name, rootOf(peer.name, one), { parent: this });
      const first = presharedKey(peer.name);
      const own = (id: string): string => secretId(specification.id, { id, version: one });
      return {
        version: one,
        root,
        privateKey: root.apply((text) => wireguardKeys(text, own(peerKeysId(peer.name))).privateKey),
        presharedKey: one === 1 ? secrets.value(first.id) : root.apply((text) => derive(text, own(first.id), 32).toString("base64")),
      };
    };
    return { peer, current: keysOf(version), candidate: candidate === undefined ? undefined : keysOf(candidate) };
  }
}

function requireNames({ name, versions }: TunnelsArgs["specification"], tunnel: TunnelSpecification): void {
  const waiting = tunnel.peers.filter((peer) => versions[peerKeysId(peer.name)]?.candidate !== undefined);
  const of = waiting.find((one) => tunnel.peers.some((peer) => peer.name === candidateName(one.name)));
  if (of === undefined) return;
  throw new Error(`Node ${name} has a peer ${candidateName(of.name)}, which is what the next keys of its peer ${of.name} are called while they wait. Rename the peer, or give the rotation up: holdfast rotate wireguard ${of.name} --abandon`);
}

/** A file for each version, so that none is written over while the running system reads it. No peer's name has a dot. */
const fileOf = (peer: string, version: number): string => `wg-psk-${peer}.${version}`;

/** Nothing restarts when it comes or goes: the peer's public key comes and goes with it, and the system that has it reads the file. */
const presharedFile = (peer: string, version: number, value: string): SecretFile => ({
  name: fileOf(peer, version), owner: "root", group: "root", mode: "0400", consumers: [], content: Buffer.from(value).toString("base64"),
});

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
