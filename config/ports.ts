/** What listens on a node besides what its configuration gives a port: whoever reaches one of these owns the node. */
export const localPorts: ReadonlyMap<number, string> = new Map([
  [8332, "bitcoind's RPC"], [48332, "bitcoind's RPC"], [38332, "bitcoind's RPC"], [18443, "bitcoind's RPC"], [18334, "btcd's RPC"],
  [10009, "LND's gRPC"], [9051, "Tor's control port"], [7041, "liquidd's RPC"], [24444, "NBXplorer"], [50001, "the Electrum server"],
]);

/** Where nix-bitcoin puts the pages that can be published. */
export const publishedPorts = { btcpayserver: 23000, rtl: 3000, mempool: 60845 } as const;
