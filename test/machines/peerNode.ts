import { mkdir, writeFile } from "node:fs/promises";
import { BRIDGE_ADDRESS } from "../../rehearsal/machines/names.js";
import type { Chain } from "../../rehearsal/system/chain.js";
import { bin, eventually, freePort, restOf, start, type Rest } from "./lightningWorld.js";

/** Somebody else's Lightning node: a second lnd on this machine, reached over the bridge, that sees the project's chain. */
export interface PeerNode {
  readonly nodePublicKey: string;
  /** Where other nodes reach it: `address:port`. */
  readonly at: string;
  readonly rest: Rest;
  readonly stop: () => Promise<void>;
}

/** Starts it with a wallet of its own, whose seed nobody needs, and waits until it is in step with the chain. */
export async function startPeerNode(folder: string, name: string, chain: Chain): Promise<PeerNode> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const [restPort, rpcPort, p2pPort] = [await freePort(), await freePort(), await freePort()];
  const at = `${BRIDGE_ADDRESS}:${p2pPort}`;
  await writeFile(`${folder}/lnd.conf`, [
    "[Application Options]", `alias=${name}`, `restlisten=127.0.0.1:${restPort}`, `rpclisten=127.0.0.1:${rpcPort}`, `listen=${at}`,
    "noseedbackup=1", "nobootstrap=1", "debuglevel=info", "trickledelay=50", "minbackoff=1s", "maxbackoff=3s",
    "[Bitcoin]", "bitcoin.regtest=1", "bitcoin.node=btcd",
    "[Btcd]", `btcd.rpchost=127.0.0.1:${chain.rpc.port}`, `btcd.rpcuser=${chain.rpc.user}`, `btcd.rpcpass=${chain.rpc.password}`, `btcd.rpccert=${chain.rpc.certificate}`, "",
  ].join("\n"), { mode: 0o600 });
  const running = start([`${bin}/lnd`, `--lnddir=${folder}`, `--configfile=${folder}/lnd.conf`], `${folder}/log`);
  const rest = restOf(restPort, `${folder}/tls.cert`, `${folder}/data/chain/bitcoin/regtest/admin.macaroon`);
  const nodePublicKey = await eventually(`${name} to be in step (its log is ${folder}/log)`, 90_000, async () => {
    const info = await rest<{ identity_pubkey: string; synced_to_chain: boolean }>("GET", "/v1/getinfo");
    return info.synced_to_chain && info.identity_pubkey;
  });
  return { nodePublicKey, at, rest, stop: () => running.stop() };
}
