import type { IdentityFile } from "../formats/identity.js";
import type { Network } from "../formats/place.js";
import type { HostSpecification, Recipients } from "./schema.js";

/** A peer of a node's tunnel. */
export interface PeerSpecification {
  readonly name: string;
  readonly address: string;
}

/** One node, complete and validated: everything that its components need to know. */
export interface NodeSpecification {
  readonly name: string;
  /** Immutable: keys derive from it. */
  readonly id: string;
  readonly environment: string;
  readonly network: Network;
  readonly host: HostSpecification;
  readonly identity: IdentityFile;
  readonly lightning: { readonly alias: string; readonly p2pPort: number; readonly restPort: number };
  readonly bitcoinPeers: readonly string[];
  readonly tunnel: {
    readonly network: string;
    readonly address: string;
    readonly prefixLength: number;
    readonly port: number;
    readonly endpoint: string;
    readonly peers: readonly PeerSpecification[];
  };
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
  /** A wallet identity in clear, of worthless coins. */
  readonly walletIdentityFile?: string;
  readonly nodes: readonly NodeSpecification[];
}
