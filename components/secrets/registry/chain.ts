import type { Service } from "../../../formats/services.js";
import { derive, password } from "../derive.js";
import { rpcauth } from "../rpcauth.js";
import { ownedBy, type DerivedSecret, type Secret } from "../secret.js";

const CHAIN = "bitcoind.service";

/** A user of bitcoind's RPC: the password that its programs read, and the HMAC of it that bitcoind reads. Both have one root and one version. */
function rpcUser(user: {
  /** As nix-bitcoin's file names end. */
  readonly name: string;
  readonly ids: { readonly password: string; readonly hmac: string };
  readonly readBy: Pick<DerivedSecret, "owner" | "group" | "mode" | "consumers">;
  readonly service: Service;
}): readonly DerivedSecret[] {
  const { ids, name, readBy, service } = user;
  return [
    { kind: "derived", id: ids.password, file: `bitcoin-rpcpassword-${name}`, ...readBy, rotation: "restarts", services: [service], value: password },
    {
      kind: "derived", id: ids.hmac, rootOf: ids.password, file: `bitcoin-HMAC-${name}`, ...ownedBy("bitcoin"),
      consumers: [CHAIN], rotation: "restarts", services: [service],
      value: (root, id) => rpcauth(password(root, id.replace(`/${ids.hmac}/`, `/${ids.password}/`)), derive(root, `${id}/salt`, 16).toString("hex")),
    },
  ];
}

/** bitcoind, and who speaks to it or to liquidd. */
export const chainSecrets: readonly Secret[] = [
  ...rpcUser({
    name: "privileged", service: "bitcoind", ids: { password: "bitcoin-rpc-password", hmac: "bitcoin-rpc-hmac" },
    readBy: { ...ownedBy("bitcoin"), consumers: [CHAIN, "lnd.service", "joinmarket.service"] },
  }),
  ...rpcUser({
    name: "public", service: "bitcoind", ids: { password: "bitcoin-rpc-password-public", hmac: "bitcoin-rpc-hmac-public" },
    readBy: {
      ...ownedBy("bitcoin", "bitcoinrpc-public"),
      consumers: ["lnd.service", "clightning.service", "electrs.service", "fulcrum.service", "liquidd.service", "mempool.service"],
    },
  }),
  ...rpcUser({
    name: "btcpayserver", service: "btcpayserver", ids: { password: "bitcoin-rpc-password-btcpayserver", hmac: "bitcoin-rpc-hmac-btcpayserver" },
    readBy: { ...ownedBy("bitcoin", "nbxplorer"), consumers: ["nbxplorer.service"] },
  }),
  ...rpcUser({
    name: "joinmarket-ob-watcher", service: "joinmarket-ob-watcher",
    ids: { password: "bitcoin-rpc-password-joinmarket-ob-watcher", hmac: "bitcoin-rpc-hmac-joinmarket-ob-watcher" },
    readBy: { ...ownedBy("joinmarket-ob-watcher"), consumers: ["joinmarket-ob-watcher.service"] },
  }),
  {
    kind: "derived", id: "liquid-rpc-password", file: "liquid-rpcpassword", ...ownedBy("liquid"),
    consumers: ["liquidd.service", "nbxplorer.service"], rotation: "restarts", services: ["liquidd"], value: password,
  },
];
