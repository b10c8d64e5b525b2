import { derive, p256PrivateKey, password, wireguardKeys } from "./derive.js";
import { rpcauth } from "./rpcauth.js";

/**
 * What rotating a secret does. `safe`: nothing notices. `restarts`: its consumers restart once.
 * `never`: the value is part of something that exists already (a wallet, a repository), so its root is protected.
 */
export type Rotation = "safe" | "restarts" | "never";

/** One file of the bundle that is derived from a root. */
export interface DerivedSecret {
  /** Immutable: part of what the value is derived from. */
  readonly id: string;
  /** Raised to rotate. */
  readonly version: number;
  /** The secret whose root it shares; its own when absent. */
  readonly rootOf?: string;
  readonly file: string;
  readonly owner: string;
  readonly group: string;
  readonly mode: string;
  /** systemd units that read it. */
  readonly consumers: readonly string[];
  readonly rotation: Rotation;
  /** @param id names node, secret and version */
  readonly value: (root: string, id: string) => string;
}

const CHAIN = "bitcoind.service";
const LND = "lnd.service";

/** Every service secret of a node, in the order of its services. File names, owners and modes are nix-bitcoin's where it has them. */
export const registry: readonly DerivedSecret[] = [
  {
    id: "bitcoin-rpc-password", version: 1, file: "bitcoin-rpcpassword-privileged", owner: "bitcoin", group: "bitcoin", mode: "0440",
    consumers: [CHAIN, LND], rotation: "restarts", value: password,
  },
  {
    id: "bitcoin-rpc-hmac", version: 1, rootOf: "bitcoin-rpc-password", file: "bitcoin-HMAC-privileged", owner: "bitcoin", group: "bitcoin", mode: "0440",
    consumers: [CHAIN], rotation: "restarts",
    value: (root, id) => rpcauth(password(root, siblingId(id, "bitcoin-rpc-hmac", "bitcoin-rpc-password")), derive(root, `${id}/salt`, 16).toString("hex")),
  },
  {
    id: "lnd-wallet-password", version: 1, file: "lnd-wallet-password", owner: "lnd", group: "lnd", mode: "0440",
    consumers: [], rotation: "never", value: password,
  },
  {
    id: "lnd-tls-key", version: 1, file: "lnd-key", owner: "lnd", group: "lnd", mode: "0440",
    consumers: [LND], rotation: "restarts", value: p256PrivateKey,
  },
  {
    id: "lnd-macaroon-root-key", version: 1, file: "lnd-macaroon-root-key", owner: "root", group: "root", mode: "0400",
    consumers: [], rotation: "never", value: (root, id) => derive(root, id, 32).toString("hex"),
  },
  {
    id: "wireguard-node", version: 1, file: "wg-node-private-key", owner: "root", group: "root", mode: "0400",
    consumers: ["wireguard-wg-node.service"], rotation: "restarts", value: (root, id) => wireguardKeys(root, id).privateKey,
  },
  {
    id: "backup-password", version: 1, file: "backup-password", owner: "root", group: "root", mode: "0400",
    consumers: [], rotation: "never", value: password,
  },
];

/** The preshared key that a peer and the node have in common: 32 bytes in base64. */
export const presharedKey = (peer: string): DerivedSecret => ({
  id: `wireguard-psk-${peer}`, version: 1, file: `wg-psk-${peer}`, owner: "root", group: "root", mode: "0400",
  consumers: ["wireguard-wg-node.service"], rotation: "restarts", value: (root, id) => derive(root, id, 32).toString("base64"),
});

/** What a value is derived from beside its root: node, secret and version, never a display name. */
export const secretId = (nodeId: string, secret: Pick<DerivedSecret, "id" | "version">): string => `${nodeId}/${secret.id}/${secret.version}`;

function siblingId(id: string, own: string, sibling: string): string {
  return id.replace(`/${own}/`, `/${sibling}/`);
}
