import type { FileIdentity, IdentityFile } from "../formats/identity.js";
import type { Network } from "../formats/place.js";
import type { Marks, SecretVersion, Versions } from "../formats/records.js";
import type { Service } from "../formats/services.js";
import type { NixosSettings } from "../formats/settings.js";
import type { HetznerSpecification, HostSpecification, Recipients } from "./schema.js";

/** A peer of a node's tunnel. */
export interface PeerSpecification {
  readonly name: string;
  readonly address: string;
}

/** The node's end of its tunnels. */
export interface TunnelSpecification {
  readonly network: string;
  readonly address: string;
  readonly prefixLength: number;
  readonly port: number;
  /** Absent: the host's own address, once it is known, and the port. */
  readonly endpoint?: string;
  readonly peers: readonly PeerSpecification[];
}

/** A machine that the operator has, or a server that the stack makes. */
export type NodeHost = HostSpecification | HetznerSpecification;

export const isHetzner = (host: NodeHost): host is HetznerSpecification => "serverType" in host;

/** One node, complete and validated: everything that its components need to know. */
export interface NodeSpecification {
  readonly name: string;
  /** Immutable: keys derive from it, resources are named by it, and it is what sealed things, hosts and backups call the node. */
  readonly id: string;
  readonly environment: string;
  readonly network: Network;
  readonly host: NodeHost;
  readonly identity: IdentityFile;
  /** Every other identity of the node. */
  readonly identities: readonly FileIdentity[];
  /** What runs on it: decides which secrets it has. */
  readonly services: readonly Service[];
  readonly nixos: NixosSettings;
  /** What an installation may wipe. */
  readonly wipe?: { readonly generation: number; readonly disks: readonly string[] };
  /** Secrets that were rotated, by secret id. */
  readonly versions: Readonly<Record<string, SecretVersion>>;
  readonly lightning: { readonly alias: string; readonly p2pPort: number; readonly restPort: number; readonly clightningPort: number };
  readonly bitcoinPeers: readonly string[];
  /** Where its bunker is found and who administers it (npub1…). Absent: it has none. */
  readonly bunker?: { readonly relays: readonly string[]; readonly admins: readonly string[] };
  /** Absent: the node has no tunnel. */
  readonly tunnel?: TunnelSpecification;
  readonly sshFrom: "internet" | "tunnel";
  readonly backup: { readonly repository: string; readonly user: string; readonly passwordFile: string; readonly certificate?: string };
}

/** One environment, complete and validated. */
export interface StackSpecification {
  readonly environment: string;
  readonly network: Network;
  readonly flake: string;
  /** Seconds that a new system has to prove itself before its host takes it back. */
  readonly proofSeconds: number;
  readonly authorizedKeys: readonly string[];
  readonly identityFile?: string;
  readonly recipients: Recipients;
  /** The stack that must have proven the same configuration, or `none`. */
  readonly provenOn: string;
  /** The folder of the environment's records, relative to the project. */
  readonly records: string;
  readonly deposit: { readonly folder: string };
  readonly versions: Versions;
  readonly marks: Marks;
  /** WireGuard public keys and states' marks of other environments' nodes, and whose they are. */
  readonly foreignMarks?: Readonly<Record<string, string>>;
  /** A wallet identity in clear, of worthless coins. */
  readonly walletIdentityFile?: string;
  readonly nodes: readonly NodeSpecification[];
}
