import type { Network } from "../formats/place.js";
import type { Service } from "../formats/services.js";

/** What listens on a node besides what its configuration gives a port: whoever reaches one of these owns the node. */
export const localPorts: ReadonlyMap<number, string> = new Map([
  [8332, "bitcoind's RPC"], [48332, "bitcoind's RPC"], [38332, "bitcoind's RPC"], [18443, "bitcoind's RPC"], [18334, "btcd's RPC"],
  [10009, "LND's gRPC"], [9051, "Tor's control port"], [7041, "liquidd's RPC"], [24444, "NBXplorer"], [50001, "the Electrum server"],
]);

/** Where nix-bitcoin puts the pages that can be published. */
export const publishedPorts = { btcpayserver: 23000, rtl: 3000, mempool: 60845 } as const;

/** bitcoind's own port for other nodes, by network. @see bitcoind -help, -port */
export const bitcoinPorts: Readonly<Record<Network, number>> = { mainnet: 8333, testnet4: 48333, signet: 38333, regtest: 18444 };

/** TCP ports of this host that a service takes besides those that the configuration gives it, as nix-bitcoin has them. nix/modules/services evaluates to the same. */
export const servicePorts: Partial<Record<Service, readonly number[]>> = {
  // For peers from Tor, for programs of this host, and two for what it publishes.
  bitcoind: [8334, 8335, 28332, 28333],
  lnd: [10009],
  "lightning-loop": [8081, 11010],
  electrs: [4224, 50001],
  fulcrum: [50001],
  btcpayserver: [publishedPorts.btcpayserver, 24444],
  rtl: [publishedPorts.rtl, 3010],
  mempool: [8999, publishedPorts.mempool],
  // Its daemon, that one's two neighbours, and two doors for its onion services.
  joinmarket: [25183, 26183, 27183, 64180, 64181],
  "joinmarket-ob-watcher": [62601],
  liquidd: [7041, 7042, 7043],
};
