import { readFileSync } from "node:fs";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { HostFile } from "../../rehearsal/machines/machine.js";
import { generate, runningChain, type Chain } from "../../rehearsal/system/chain.js";
import { newProject, type Project } from "../project.js";
import { bin, eventually, sleep } from "./lightningWorld.js";
import { passOf, phoneWith, type Pass, type Phone } from "./phone.js";
import { startPeerNode, type PeerNode } from "./peerNode.js";

const CAPACITY = 5_000_000;
const PUSHED = 1_000_000;
/** Blocks after which a reward may be spent. @see Bitcoin Core, COINBASE_MATURITY */
const MATURITY = 100;
/** Two rewards of 12.5 coins each, in satoshi: what a regtest block gives after its second halving at block 300. */
const MINED = 2_500_000_000;
/** An anchor each, paid by who opened the channel. @see BOLT 3, "option_anchors" */
const ANCHORS = 660;

let project: Project;
let chain: Chain;
let bob: PeerNode | undefined;
let phone: Phone;

/** What nobody may notice a rebuild by. */
interface Outside {
  readonly nodePublicKey: string;
  readonly balance: number;
  readonly tunnelKey: string;
  readonly certificate: string;
  readonly passes: readonly Pass[];
}

const host = (): HostFile => JSON.parse(readFileSync(join(project.state, "machines", "alice.json"), "utf8")) as HostFile;

async function onAlice(command: string): Promise<string> {
  const { exitCode, stdout, output } = await project.ssh("alice", command);
  if (exitCode !== 0) throw new Error(`${command}: ${output}`);
  return stdout.trim();
}

const balance = async (): Promise<number> => Number((await phone<{ confirmed_balance: string }>("GET", "/v1/balance/blockchain")).confirmed_balance);

async function outside(): Promise<Outside> {
  return {
    nodePublicKey: (await phone<{ identity_pubkey: string }>("GET", "/v1/getinfo")).identity_pubkey,
    balance: await balance(),
    tunnelKey: await onAlice("wg show wg-node public-key"),
    certificate: await onAlice("cat /etc/nix-bitcoin-secrets/lnd-cert"),
    passes: [await passOf(project, "phone"), await passOf(project, "laptop")],
  };
}

async function btcctl<T>(...words: string[]): Promise<T> {
  return JSON.parse((await execa(join(bin, "btcctl"), [`--configfile=${chain.folder}/btcctl.conf`, ...words], { stdin: "ignore", timeout: 30_000 })).stdout) as T;
}

interface Transaction {
  readonly txid: string;
  readonly vin: readonly { readonly txid?: string; readonly vout?: number }[];
  /** Bitcoin, not satoshi. */
  readonly vout: readonly { readonly value: number }[];
}
const satoshi = (bitcoin: number): number => Math.round(bitcoin * 1e8);
const transaction = (id: string): Promise<Transaction> => btcctl<Transaction>("getrawtransaction", id, "1");

/** Every file of every backup of the node, as restic lists them. */
async function backedUp(): Promise<string[]> {
  const restic = "restic --repository-file /run/holdfast/backup-repository --password-file /etc/nix-bitcoin-secrets/backup-password --cacert /run/holdfast/backup-store.pem --no-cache --no-lock";
  const listed = await onAlice(`for one in $(${restic} snapshots --json | grep -o '"short_id":"[^"]*"' | cut -d'"' -f4); do ${restic} ls --json $one; done`);
  const nodes = listed.split("\n").map((line) => JSON.parse(line) as { type?: string; path?: string });
  return [...new Set(nodes.filter(({ type }) => type === "file").map(({ path }) => path!))].sort();
}

/** Deletes the machine, and runs the one command. */
async function rebuilt(): Promise<{ readonly output: string; readonly seconds: number }> {
  expect(await project.holdfast("machine", "delete", "alice")).toMatchObject({ exitCode: 0 });
  const begin = Date.now();
  const { exitCode, output } = await project.holdfast("up", "--yes");
  expect(exitCode, output).toBe(0);
  return { output, seconds: (Date.now() - begin) / 1000 };
}

beforeAll(async () => {
  project = await newProject();
  const { exitCode, output } = await project.holdfast("up", "--yes");
  expect(exitCode, output).toBe(0);
  expect(output).toContain("open (fresh)");
});

afterAll(async () => {
  await bob?.stop();
  if (process.env["HOLDFAST_KEEP"] === undefined) expect(await project.remove()).toEqual([]);
});

describe("a node with coins and a channel, whose machine was deleted", () => {
  let before: Outside;
  let generation: number;
  let channel: { readonly channel_point: string; readonly local_balance: string; readonly commit_fee: string };

  it("has its balance and its channel off-site soon after they changed", async () => {
    chain = (await runningChain(project.state))!;
    phone = await phoneWith(project, await passOf(project, "phone"), host().address.replace(/\d+$/, "200"));
    const address = (await eventually("the phone to reach its node", 30_000, () => phone<{ address: string }>("GET", "/v1/newaddress?type=WITNESS_PUBKEY_HASH"))).address;
    await generate(chain, 2, address);
    await generate(chain, MATURITY);
    bob = await startPeerNode(join(project.state, "bob"), "bob", chain);
    await eventually("alice's coins", 90_000, async () => (await phone<{ synced_to_chain: boolean }>("GET", "/v1/getinfo")).synced_to_chain && (await balance()) === MINED);

    await phone("POST", "/v1/peers", { addr: { pubkey: bob.nodePublicKey, host: bob.at }, perm: true });
    await eventually("the channel to be accepted", 60_000, () => phone<object>("POST", "/v1/channels", {
      node_pubkey: Buffer.from(bob!.nodePublicKey, "hex").toString("base64"), local_funding_amount: String(CAPACITY), push_sat: String(PUSHED), sat_per_vbyte: "2",
    }));
    const funded = Date.now();
    // It comes by way of alice's own chain backend.
    await eventually("the funding transaction to reach the miner", 60_000, async () => (await btcctl<string[]>("getrawmempool")).length > 0);
    await generate(chain, 6);
    channel = await eventually("the channel to be active", 90_000, async () => (await phone<{ channels: (typeof channel & { active: boolean })[] }>("GET", "/v1/channels")).channels.find(({ active }) => active));
    const now = await balance();
    await eventually("the channel and the balance to be off-site", 60_000, async () => {
      const [report, manifest] = (await onAlice("cat /var/lib/holdfast/backup-report.json; echo; cat /var/lib/holdfast/backup/manifest.json")).split(/\n+/).map((line) => JSON.parse(line) as Record<string, unknown>);
      return report!["pendingSince"] === undefined && report!["sequence"] === manifest!["sequence"] && JSON.stringify(manifest).includes(`"confirmedBalance":${now},`) && JSON.stringify(manifest).includes('"channels":1');
    });
    console.log(`channel off-site ${((Date.now() - funded) / 1000).toFixed(1)} s after it was funded`);
    before = await outside();
    generation = host().generation;
    expect(before.balance).toBe(now);
    expect(await backedUp()).toEqual(["/var/lib/holdfast/backup/channel.backup", "/var/lib/holdfast/backup/manifest.json"]);
  });

  it("is restored by one command, and nobody outside notices but by the pause", async () => {
    const { output, seconds } = await rebuilt();
    console.log(`recovered, with a new machine, in ${seconds.toFixed(1)} s`);
    expect(output).toContain("open (restore)");
    expect(host().generation).toBe(generation + 1);
    // The phone did nothing: its tunnel finds the new host by itself.
    await eventually("the phone to be back with what it had", 60_000, () => phone<object>("GET", "/v1/getinfo"));
    expect(await outside()).toEqual(before);
    expect(await backedUp()).toEqual(["/var/lib/holdfast/backup/channel.backup", "/var/lib/holdfast/backup/manifest.json"]);
  });

  it("gets its channel's funds home after the peer's force close, to the satoshi", async () => {
    type Closing = { readonly closing_txid: string; readonly channel: { readonly channel_point: string } };
    const closing = await eventually("the peer to force-close", 120_000, async () => {
      const pending = await bob!.rest<{ waiting_close_channels: Closing[]; pending_force_closing_channels: Closing[] }>("GET", "/v1/channels/pending");
      return [...pending.waiting_close_channels, ...pending.pending_force_closing_channels].find((one) => one.channel.channel_point === channel.channel_point);
    });
    const [fundingId] = channel.channel_point.split(":");
    const commitment = await eventually("the force close in the chain", 60_000, async () => {
      await generate(chain, 1);
      await sleep(500);
      return transaction(closing.closing_txid);
    });
    expect(commitment.vin.map(({ txid }) => txid)).toEqual([fundingId]);
    const amounts = commitment.vout.map(({ value }) => satoshi(value));
    // Of what alice put in, the commitment's fee and both anchors are gone; nothing else is.
    expect(amounts).toContain(Number(channel.local_balance));
    expect(CAPACITY - amounts.reduce((sum, one) => sum + one, 0)).toBe(Number(channel.commit_fee));
    expect(Number(channel.local_balance)).toBe(CAPACITY - PUSHED - Number(channel.commit_fee) - ANCHORS);

    const spends = (one: Transaction): boolean => one.vin.some(({ txid, vout }) => txid === commitment.txid && amounts[vout!] === Number(channel.local_balance));
    const sweep = await eventually("alice to sweep her funds", 180_000, async () => {
      await generate(chain, 1);
      await sleep(1_000);
      const { transactions } = await phone<{ transactions: { tx_hash: string; num_confirmations: number }[] }>("GET", "/v1/transactions");
      const confirmed = await Promise.all(transactions.filter((one) => one.num_confirmations > 0).map(({ tx_hash }) => transaction(tx_hash)));
      return confirmed.find(spends);
    });
    // Whatever else the sweep took with it counts on both sides.
    const inputs = await Promise.all(sweep.vin.map(async ({ txid, vout }) => ({ own: txid !== commitment.txid, amount: satoshi((await transaction(txid!)).vout[vout!]!.value) })));
    const paidIn = inputs.reduce((sum, { amount }) => sum + amount, 0);
    const paidOut = sweep.vout.reduce((sum, { value }) => sum + satoshi(value), 0);
    const fee = paidIn - paidOut;
    const fromChannel = inputs.filter(({ own }) => !own).reduce((sum, { amount }) => sum + amount, 0);
    console.log(`home: ${before.balance} + ${fromChannel} - ${fee} sat of fees`);
    expect(fee).toBeGreaterThan(0);
    expect(fee).toBeLessThan(10_000);
    await eventually("the balance", 30_000, async () => (await balance()) === before.balance + fromChannel - fee);
    await eventually("the channel to count as closed by its peer", 60_000, async () => {
      await generate(chain, 1);
      const { channels } = await phone<{ channels: { channel_point: string; close_type: string }[] }>("GET", "/v1/channels/closed");
      return channels.some((one) => one.channel_point === channel.channel_point && one.close_type === "REMOTE_FORCE_CLOSE");
    });
  });
});
