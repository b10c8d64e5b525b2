import { describe, expect, it } from "vitest";
import { worksOn } from "../../../config/combinations.js";
import { networks, type Network } from "../../../formats/place.js";
import type { Service } from "../../../formats/services.js";
import { announceMissing, evaluate } from "./evaluate.js";
import { evaluateShowing, everything, refusals, stackNode } from "./stackNode.js";

const shown = `{
  inherit (bitcoind) network extraConfig regtest port;
  rpc = bitcoind.rpc.port;
  lnd = lnd.networkDir; clightning = clightning.networkDir;
  mempool = mempool.settings.MEMPOOL.NETWORK or null; frontend = mempool.frontend.settings;
  folder = bitcoind.makeNetworkName "Main" "RegTest";
}`;
const services: readonly Service[] = [...everything.filter((service) => service !== "fulcrum"), "electrs"];
const on = async (network: Network, also: readonly Service[] = services) => {
  const allowed = also.filter((service) => worksOn[service]?.includes(network) ?? true);
  return evaluateShowing(stackNode({ network, services: allowed }), shown);
};

describe.skipIf(announceMissing())("a node's network", () => {
  it.each<[Network, number, number, string, string]>([
    ["mainnet", 8333, 8332, "mainnet", "bitcoin"], ["testnet4", 48333, 48332, "testnet4", "testnet4"],
    ["signet", 38333, 38332, "signet", "signet"], ["regtest", 18444, 18443, "regtest", "regtest"],
  ])("is %s for every daemon, with its ports and folders", async (network, p2p, rpc, lnd, daemons) => {
    const { shown: value, units, files, ...evaluated } = await on(network);
    expect({ assertions: refusals({ ...evaluated, units, files }), undeclared: evaluated.undeclared }).toEqual({ assertions: [], undeclared: [] });
    expect(value).toMatchObject({ network, port: p2p, rpc, regtest: network === "regtest", lnd: `/var/lib/lnd/data/chain/bitcoin/${lnd}`, clightning: `/var/lib/clightning/${daemons}` });
    expect(units["electrs.service"]!.text).toContain(`--network=${daemons} `);
    expect(units["electrs.service"]!.text).toContain(`--daemon-rpc-addr=127.0.0.1:${rpc} `);
    const lndConf = files.find(({ path }) => path.endsWith("-lnd.conf"))!.text;
    expect(lndConf).toContain(`\nbitcoin.${lnd}=1\n`);
    expect(lndConf).toContain(`\nbitcoind.rpchost=127.0.0.1:${rpc}\n`);
    const clnConf = files.find(({ path, text }) => path.endsWith("-config") && text.startsWith("network="))!.text;
    expect(clnConf).toContain(`network=${daemons}\n`);
    expect(clnConf).toContain(`\nbitcoin-rpcport=${rpc}\n`);
    // Nothing of another network is left anywhere in what was written for this one.
    const others = network === "mainnet" ? /\b(regtest|signet|testnet4)=1/ : /\bmainnet=1|127\.0\.0\.1:8332\b/;
    for (const { text, path } of files) expect(text, path).not.toMatch(others);
  });

  it.each(["testnet4", "signet"] as const)("gives bitcoind a section of its own on %s, without which it would not start", async (network) => {
    const { shown: value } = await on(network, ["bitcoind", "lnd", "electrs", "wireguard", "offsite-backup"]);
    const [p2p, rpc] = network === "testnet4" ? [48333, 48332] : [38333, 38332];
    expect((value["extraConfig"] as string).split("\n").filter((line) => line !== "" && !line.startsWith("#"))).toEqual([
      `chain=${network}`, "rpccookiefile=/var/lib/bitcoind/.cookie", `[${network}]`, "rpcbind=127.0.0.1", `rpcport=${rpc}`,
      `bind=127.0.0.1:${p2p}`, "bind=127.0.0.1:8334=onion", "whitebind=127.0.0.1:8335",
    ]);
  });

  it("names peers inside that section", async () => {
    const { shown: value } = await evaluateShowing(stackNode({ network: "signet", bitcoinPeers: ["192.0.2.1:38333"] }), shown);
    expect(value["extraConfig"]).toMatch(/\[signet\][^[]*\nconnect=192\.0\.2\.1:38333\n/);
  });

  it("is what mempool shows, and BTCPay's folder in NBXplorer", async () => {
    expect((await on("testnet4")).shown).toMatchObject({ mempool: "testnet4", frontend: { ROOT_NETWORK: "testnet4", TESTNET4_ENABLED: true } });
    expect((await on("signet")).shown).toMatchObject({ mempool: "signet", folder: "Signet" });
    expect((await on("mainnet")).shown).toMatchObject({ mempool: "mainnet", frontend: {}, folder: "Main" });
  });

  it("refuses each service that cannot work on it, with the reason and where it would", async () => {
    for (const network of networks) {
      const evaluated = await evaluate(stackNode({ network, services }));
      const refused = Object.entries(worksOn).filter(([, works]) => !works.includes(network)).map(([service]) => service).sort();
      expect(refusals(evaluated).map((line) => /^services\.([\w-]+) is on, and holdfast\.network\.name is (\w+)/.exec(line)?.slice(1).join(" "))).toEqual(refused.map((service) => `${service} ${network}`));
      for (const message of evaluated.assertions) expect(message).toMatch(/\nLeave [\w-]+ out of the node's services, or put the node on mainnet/);
    }
  });
});
