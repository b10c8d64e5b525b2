import { derive, password, secp256k1PrivateKey, wireguardKeys } from "../derive.js";
import { rootsOwn, type DerivedSecret, type Secret } from "../secret.js";

const TUNNEL = "wireguard-wg-node.service";

/** The host's own: its tunnel, its backups, its volume, its signer. */
export const hostSecrets: readonly Secret[] = [
  {
    kind: "derived", id: "wireguard-node", file: "wg-node-private-key", ...rootsOwn, consumers: [TUNNEL], rotation: "restarts", services: ["wireguard"],
    value: (root, id) => wireguardKeys(root, id).privateKey,
    rotating: "Every peer knows the node by this key: each must scan its configuration again before it reaches the node.",
  },
  {
    kind: "derived", id: "backup-password", file: "backup-password", ...rootsOwn, consumers: [], rotation: "never", services: ["offsite-backup"], value: password,
    rotating: "The restic repository is encrypted under it. Add a key with `restic key add`, or begin a new repository in the stack's configuration.",
  },
  {
    kind: "given", id: "backup-store-password", file: "backup-store-password", ...rootsOwn, consumers: ["holdfast-backup.service"], rotation: "restarts", services: ["offsite-backup"],
    rotating: "The store decides it: change it there, and write it to the stack's password file.",
  },
  {
    kind: "derived", id: "backup-encryption", file: "backup-encryption-env", owner: "root", group: "root", mode: "0440",
    consumers: [], rotation: "never", services: ["backups"], value: (root, id) => `PASSPHRASE=${password(root, id)}\n`,
    rotating: "Duplicity's chain of backups is encrypted under it, and goes on with the same one only. Begin a new destination instead.",
  },
  {
    kind: "derived", id: "data-volume-key", file: "data-volume-key", ...rootsOwn, consumers: [], rotation: "never", services: ["data-volume"],
    value: (root, id) => derive(root, id, 32).toString("hex"),
    rotating: "It opens the volume's LUKS header, which knows no other. Make a new volume, restore onto it, and destroy the old one.",
  },
  {
    kind: "derived", id: "root-disk-key", file: "root-disk-key", ...rootsOwn, consumers: [], rotation: "never", services: ["encrypted-root"],
    value: (root, id) => derive(root, id, 32).toString("hex"),
    rotating: "It opens the root disk's LUKS header, which knows no other. Add a key of your own with `cryptsetup luksAddKey`, or install the host anew.",
  },
  {
    kind: "derived", id: "bunker-passphrase", file: "bunker-passphrase", ...rootsOwn, consumers: [], rotation: "never", services: ["bunker"], value: password,
    rotating: "Every key of the bunker is encrypted under it, and opens with no other. Export keys under a passphrase of their own (export_key), and move them to another bunker instead.",
  },
  {
    kind: "derived", id: "bunker-admin-key", file: "bunker-admin-key", ...rootsOwn, consumers: ["bunker.service"], rotation: "restarts", services: ["bunker"], value: secp256k1PrivateKey,
    rotating: "The bunker answers admins under another public key then (`holdfast bunker keys` shows it): each must be told, and relays that let it in by its key. Keys, clients and invitations stay; clients wait a moment.",
  },
];

/**
 * The preshared key that a peer and the node have in common: 32 bytes in base64. The first one alone: it rotates with the peer's keys, and later ones
 * derive from these (components/network/wireguard.ts).
 */
export const presharedKey = (peer: string): DerivedSecret => ({
  kind: "derived", id: `wireguard-psk-${peer}`, file: `wg-psk-${peer}`, ...rootsOwn,
  consumers: [TUNNEL], rotation: "restarts", services: ["wireguard"], value: (root, id) => derive(root, id, 32).toString("base64"),
  rotating: `It rotates with ${peer}'s keys: \`holdfast rotate wireguard ${peer}\`.`,
});
