import { derive, p256PrivateKey, password } from "../derive.js";
import { opensshKeys } from "../openssh.js";
import { ownedBy, rootsOwn, type Secret } from "../secret.js";

const LND = "lnd.service";
const LOOP = "lightning-loop.service";
const REPLICATION = "clightning-replication-mounts.service";

/** LND, Core Lightning, and what stands on them. */
export const lightningSecrets: readonly Secret[] = [
  {
    kind: "derived", id: "lnd-wallet-password", file: "lnd-wallet-password", ...ownedBy("lnd"), consumers: [], rotation: "never", services: ["lnd"], value: password,
    rotating: "LND's wallet is encrypted under it, and opens itself with this file. Only root and LND read it: when they were taken over, move the funds to a new seed instead.",
  },
  {
    kind: "derived", id: "lnd-tls-key", file: "lnd-key", ...ownedBy("lnd"), consumers: [LND], rotation: "restarts", services: ["lnd"], value: p256PrivateKey,
    rotating: "LND gets a new certificate with it: every wallet and program that pinned the old one must scan or be given the new one.",
  },
  {
    kind: "certificate", id: "lnd-certificate", of: "lnd-tls-key", file: "lnd-cert", ...ownedBy("lnd"), mode: "0444",
    consumers: [LND, LOOP, "btcpayserver.service"], rotation: "restarts", services: ["lnd"], organization: "lnd", reached: "tunnel",
    rotating: "It is replaced together with its key: rotate lnd-tls-key.",
  },
  {
    kind: "derived", id: "lnd-macaroon-root-key", file: "lnd-macaroon-root-key", ...rootsOwn, consumers: [], rotation: "never", services: ["lnd"],
    value: (root, id) => derive(root, id, 32).toString("hex"),
    rotating: "LND takes it once, when the wallet is made, and every macaroon derives from it. Revoke macaroons with `lncli deletemacaroonid` and bake others under a new id.",
  },
  {
    kind: "derived", id: "loop-tls-key", file: "loop-key", ...ownedBy("lnd"), consumers: [LOOP], rotation: "restarts", services: ["lightning-loop"], value: p256PrivateKey,
  },
  {
    kind: "certificate", id: "loop-certificate", of: "loop-tls-key", file: "loop-cert", ...ownedBy("lnd"),
    consumers: [LOOP], rotation: "restarts", services: ["lightning-loop"], organization: "loop", reached: "loopback",
    rotating: "It is replaced together with its key: rotate loop-tls-key.",
  },
  {
    kind: "derived", id: "clightning-replication-ssh-key", file: "clightning-replication-ssh-key", ...ownedBy("clightning"), mode: "0400",
    consumers: [REPLICATION], rotation: "restarts", services: ["clightning-replication"], value: (root, id) => opensshKeys(root, id).privateKey,
    rotating: "The replica's host must accept the new public key before the update, or Core Lightning does not start again: add it to its authorized_keys first.",
  },
  {
    kind: "derived", id: "clightning-replication-password", file: "clightning-replication-password", ...ownedBy("clightning"),
    consumers: [], rotation: "never", services: ["clightning-replication"], value: password,
    rotating: "The replica is a gocryptfs folder under it, and no other password opens that. Begin a new replica in another folder instead.",
  },
  {
    kind: "derived", id: "rtl-password", file: "rtl-password", ...ownedBy("rtl"), consumers: ["rtl.service"], rotation: "restarts", services: ["rtl"], value: password,
    rotating: "Whoever is logged in to Ride The Lightning must log in again, with the new password.",
  },
  {
    kind: "derived", id: "jm-wallet-password", file: "jm-wallet-password", ...ownedBy("joinmarket"), consumers: [], rotation: "never", services: ["joinmarket"], value: password,
    rotating: "JoinMarket's wallet file is encrypted under it. Make a new wallet and move the coins there instead.",
  },
];
