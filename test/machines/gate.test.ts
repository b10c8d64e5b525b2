import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { access, mkdir, mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { armor, Encrypter, generateIdentity, identityToRecipient } from "age-encryption";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { admit } from "../../agent/gate/admit.js";
import { runGate } from "../../agent/gate/gate.js";
import { lndFiles, systemHost, type GateHost, type Layout } from "../../agent/gate/host.js";
import { connectLnd } from "../../agent/gate/lnd.js";
import { readJournal } from "../../agent/gate/journal.js";
import { gateReport } from "../../agent/gate/report.js";
import { stagedManifest, storeFacts } from "../../agent/backup/staging.js";
import { openStore } from "../../agent/backup/store.js";
import { watchBackup } from "../../agent/backup/watch.js";
import { backupReportSchema } from "../../formats/backupReport.js";
import { hostLayout } from "../../formats/hostLayout.js";
import { nixosSchema, type Settings } from "../../formats/settings.js";
import { eventually, freePort, newSeed, restOf, sleep, startChain, startLnd, tlsPair, type Chain, type LndConfiguration, type Rest, type Running } from "./lightningWorld.js";

const alice = newSeed(randomBytes(16), randomBytes(5));
const bob = newSeed(randomBytes(16), randomBytes(5));
let top = "";
let chain: Chain;
let bobs: { readonly running: Running; readonly rest: Rest; readonly p2pPort: number };
let settings: Settings;
const identityTarget = hostLayout.identityTarget;

/** A host whose units are processes of this test. A new one under the same folder is the same host after a restart. */
function hostIn(folder: string, configuration: Omit<LndConfiguration, "passwordFile">) {
  const units = new Map<string, Running>();
  const paths = Object.fromEntries(Object.entries(hostLayout).map(([name, path]) => [name, path.startsWith("/") ? `${folder}${path}` : path])) as Layout;
  const runs = (unit: string) => units.get(unit)?.process.exitCode === null && units.get(unit)?.process.signalCode === null;
  const host: GateHost = {
    ...systemHost,
    paths,
    waits: { store: 20_000, answer: 60_000, chain: 120_000, poll: 200 },
    unitRuns: async (unit) => runs(unit),
    startUnit: async (unit) => {
      if (runs(unit)) return;
      units.set(unit, await startLnd({ ...configuration, ...(unit === identityTarget && { passwordFile: `${paths.secrets}/lnd-wallet-password` }) }));
    },
    stopUnit: async (unit) => units.get(unit)?.stop(),
  };
  return { host, units, rest: restOf(configuration.restPort, configuration.certificate, lndFiles(paths, "regtest").adminMacaroon) };
}
type AliceHost = ReturnType<typeof hostIn>;

/** The host as it is after first contact and delivery of its secrets. */
async function newHost(folder: string, generation: number, change: { readonly chain?: Chain; readonly repository?: string } = {}): Promise<AliceHost> {
  const secrets = `${folder}${hostLayout.secrets}`;
  await mkdir(secrets, { recursive: true });
  await mkdir(`${folder}/etc/holdfast`, { recursive: true });
  await mkdir(`${folder}${hostLayout.state}`, { recursive: true });
  for (const [name, value] of Object.entries(delivered)) await writeFile(`${secrets}/${name}`, value, { mode: 0o400 });
  await writeFile(`${folder}${hostLayout.settings}`, JSON.stringify({ ...settings, place: { ...settings.place, generation }, backup: { ...settings.backup, repository: change.repository ?? settings.backup.repository } }));
  await writeFile(`${folder}${hostLayout.identity}`, `# made by the host\n${await generateIdentity()}\n`, { mode: 0o600 });
  return hostIn(folder, { folder: `${folder}${hostLayout.lnd}`, chain: change.chain ?? chain, restPort: settings.lightning.restPort, rpcPort: alicesRpcPort, p2pPort: settings.lightning.p2pPort, certificate: `${secrets}/lnd-cert`, key: `${secrets}/lnd-key`, name: "alice" });
}
const delivered: Record<string, string> = {};
let alicesRpcPort = 0;

async function admission(host: GateHost, change: object = {}): Promise<string> {
  const identity = (await readFile(host.paths.identity, "utf8")).split("\n").find((line) => line.startsWith("AGE-SECRET-KEY-"))!;
  const { place } = JSON.parse(await readFile(host.paths.settings, "utf8")) as Settings;
  const encrypter = new Encrypter();
  encrypter.addRecipient(await identityToRecipient(identity));
  const plaintext = { format: "holdfast-admission/1", place, mnemonic: alice.mnemonic, nodePublicKey: alice.nodePublicKey, sealedAt: new Date().toISOString(), ...change };
  return JSON.stringify({ sealed: armor.encode(await encrypter.encrypt(JSON.stringify(plaintext))) });
}

/** A gate that dies as by kill -9 when its journal has reached a phase: nothing of it goes on, and its lnd loses power too. */
async function killedIn(phase: string, { host, units }: AliceHost): Promise<void> {
  const killed = new Error("killed");
  const mortal: GateHost = {
    ...host,
    stopUnit: async (unit) => ((await readJournal(host))?.phase === phase ? units.get(unit)?.stop("SIGKILL") : host.stopUnit(unit)),
    pause: async (milliseconds) => {
      if ((await readJournal(host))?.phase === phase && (await isThere(lndFiles(host.paths, "regtest").wallet))) throw killed;
      await host.pause(milliseconds);
    },
  };
  await expect(runGate("", mortal)).rejects.toThrow("killed");
  expect((await readJournal(host))?.phase).toBe(phase);
  await rm(host.paths.gateReport);
}

/** A gate that dies after it did what a phase is for, and before it noted that. */
async function killedLeaving(phase: string, { host, units }: AliceHost): Promise<void> {
  const mortal: GateHost = {
    ...host,
    stopUnit: async (unit) => units.get(unit)?.stop("SIGKILL"),
    now: () => {
      const noting = new Error().stack?.includes("writeJournal");
      if (noting && (JSON.parse(readFileSync(host.paths.gateJournal, "utf8")) as { phase: string }).phase === phase) throw new Error("killed");
      return host.now();
    },
  };
  await expect(runGate("", mortal)).rejects.toThrow("killed");
  expect((await readJournal(host))?.phase).toBe(phase);
}

const balanceOf = async (rest: Rest) => Number((await rest<{ confirmed_balance: string }>("GET", "/v1/balance/blockchain")).confirmed_balance);
const infoOf = (rest: Rest) => rest<{ identity_pubkey: string; synced_to_chain: boolean }>("GET", "/v1/getinfo");
const channelsOf = async (rest: Rest) => (await rest<{ channels: { active: boolean; channel_point: string }[] }>("GET", "/v1/channels")).channels;
const newAddress = async (rest: Rest, type: string) => (await rest<{ address: string }>("GET", `/v1/newaddress?type=${type}`)).address;
const isThere = (path: string) => access(path).then(() => true, () => false);

beforeAll(async () => {
  top = await mkdtemp(`${tmpdir()}/holdfast-gate-`);
  chain = await startChain(`${top}/chain`, bob.firstAddress);
  await chain.mine(440);
  await mkdir(`${top}/tls`);
  await tlsPair(`${top}/tls`, "lnd-cert", "lnd-key");
  Object.assign(delivered, {
    "lnd-cert": await readFile(`${top}/tls/lnd-cert`, "utf8"), "lnd-key": await readFile(`${top}/tls/lnd-key`, "utf8"),
    "lnd-wallet-password": "correct-horse-battery\n", "lnd-macaroon-root-key": randomBytes(32).toString("hex"),
    "backup-password": "a-repository-password", "backup-store-password": "a-store-password",
  });
  alicesRpcPort = await freePort();
  settings = {
    format: "holdfast-settings/1",
    place: { environment: "dev", network: "regtest", node: "alice", generation: 1 },
    authorizedKeys: ["ssh-ed25519 AAAA test"],
    lightning: { alias: "alice", nodePublicKey: alice.nodePublicKey, p2pPort: await freePort(), restPort: await freePort() },
    services: ["bitcoind", "lnd", "wireguard", "offsite-backup"],
    nixos: nixosSchema.parse({}),
    identities: [],
    bitcoin: { peers: [], rpcUser: "rehearsal" },
    tunnel: { address: "10.0.0.1", prefixLength: 24, port: 51820, publicKey: "x", peers: [] },
    firewall: { policy: [], backend: "nftables", ruleset: "" },
    backup: { repository: `${top}/store`, user: "alice" },
  };
  const bobPorts = { restPort: await freePort(), rpcPort: await freePort(), p2pPort: await freePort() };
  const configuration: LndConfiguration = { folder: `${top}/bob`, chain, ...bobPorts, certificate: `${top}/tls/lnd-cert`, key: `${top}/tls/lnd-key`, name: "bob" };
  const rest = restOf(bobPorts.restPort, configuration.certificate, `${top}/bob/data/chain/bitcoin/regtest/admin.macaroon`);
  await writeFile(`${top}/bob-password`, "bobs-password");
  const making = await startLnd(configuration);
  await eventually("bob's lnd", 60_000, async () => (await rest<{ state: string }>("GET", "/v1/state")).state === "NON_EXISTING");
  await rest("POST", "/v1/initwallet", { wallet_password: Buffer.from("bobs-password").toString("base64"), cipher_seed_mnemonic: bob.mnemonic, recovery_window: 20 });
  await eventually("bob's coins", 60_000, async () => (await balanceOf(rest)) > 100_000_000);
  await making.stop();
  bobs = { running: await startLnd({ ...configuration, passwordFile: `${top}/bob-password` }), rest, p2pPort: bobPorts.p2pPort };
  await eventually("bob to be in step", 60_000, async () => (await infoOf(rest)).synced_to_chain);
}, 240_000);

afterAll(async () => {
  await bobs?.running.stop();
  await chain?.stop();
  if (process.env["HOLDFAST_KEEP"] === undefined) await rm(top, { recursive: true, force: true });
}, 120_000);

describe("the gate, with real lnd, btcd and restic", () => {
  let first: AliceHost;
  let before = { balance: 0, channelPoint: "" };

  it("waits for the one-use bundle on a new host", async () => {
    first = await newHost(`${top}/first`, 1);
    expect(await gateReport("", first.host)).toMatchObject({ phase: "the gate has not run yet" });
    expect(await runGate("", first.host)).toMatchObject({ state: "waiting-for-identity" });
    expect(first.units.size).toBe(0);
  });

  it("takes no one-use bundle that is meant for another host or holds another node's seed", async () => {
    const other = { environment: "dev", network: "regtest", node: "alice", generation: 2 };
    await expect(admit(await admission(first.host, { place: other }), first.host, async () => {})).rejects.toThrow(/generation 2, and this host is generation 1/);
    await expect(admit(await admission(first.host, { nodePublicKey: bob.nodePublicKey }), first.host, async () => {})).rejects.toThrow(/holds the seed of node/);
    expect(await isThere(first.host.paths.admission)).toBe(false);
  });

  it("refuses a seed whose node id lnd does not confirm, and opens nothing", async () => {
    await admit(await admission(first.host, { mnemonic: bob.mnemonic }), first.host, async () => {});
    await expect(runGate("", first.host)).rejects.toThrow(`lnd answers as node ${bob.nodePublicKey}`);
    expect(await gateReport("", first.host)).toMatchObject({ state: "stop", remedy: expect.stringContaining("seed") });
    expect(await first.host.unitRuns(identityTarget)).toBe(false);
    expect((await storeFacts(openStore(first.host, settings))).state).toBe("empty");
  }, 120_000);

  it("makes the wallet after being killed in the middle, sends the manifest off-site and opens", async () => {
    await admit(await admission(first.host), first.host, async () => {});
    await killedIn("creating", first);
    const report = await runGate("", first.host);
    expect(report).toMatchObject({ state: "open", decision: "fresh", nodePublicKey: alice.nodePublicKey });
    expect(await isThere(first.host.paths.admission)).toBe(false);
    expect(await storeFacts(openStore(first.host, settings))).toMatchObject({ state: "manifest", manifest: { generation: 1, lightning: { nodePublicKey: alice.nodePublicKey } } });
    expect((await infoOf(first.rest)).identity_pubkey).toBe(alice.nodePublicKey);
  }, 180_000);

  it("adopts a node that runs, and one that was restarted", async () => {
    expect(await runGate("", first.host)).toMatchObject({ state: "open", decision: "adopt" });
    await first.host.stopUnit(identityTarget);
    expect(await runGate("", first.host)).toMatchObject({ state: "open", decision: "adopt" });
  }, 120_000);

  it("sends balance and channel.backup off-site as they change, and says so while the store is away", async () => {
    const ending = new AbortController();
    const watching = watchBackup("", first.host, ending.signal);
    const report = async () => backupReportSchema.parse(JSON.parse(await readFile(`${first.host.paths.state}/backup-report.json`, "utf8")));

    for (let payment = 0; payment < 3; payment++) {
      const address = await newAddress(first.rest, "WITNESS_PUBKEY_HASH");
      await bobs.rest("POST", "/v1/transactions", { addr: address, amount: String(4_000_000 + payment), sat_per_vbyte: "2" });
    }
    await chain.mine(2);
    await eventually("alice's coins", 30_000, async () => (await balanceOf(first.rest)) === 12_000_003);
    await eventually("the balance in the store", 40_000, async () => (await stagedManifest(first.host))?.lightning.confirmedBalance === 12_000_003);

    await eventually("alice to be in step", 60_000, async () => (await infoOf(first.rest)).synced_to_chain);
    await first.rest("POST", "/v1/peers", { addr: { pubkey: bob.nodePublicKey, host: `127.0.0.1:${bobs.p2pPort}` }, perm: true });
    await eventually("the channel to be accepted", 60_000, () => first.rest<object>("POST", "/v1/channels", {
      node_pubkey: Buffer.from(bob.nodePublicKey, "hex").toString("base64"), local_funding_amount: "5000000", push_sat: "1000000", sat_per_vbyte: "2",
    }));
    const since = Date.now();
    await eventually("channel.backup in the store", 30_000, async () => (await report()).sequence === (await stagedManifest(first.host))?.sequence && (await stagedManifest(first.host))?.lightning.channels === 1);
    expect(Date.now() - since).toBeLessThan(15_000);
    await chain.mine(6);
    await eventually("the channel to be active", 60_000, async () => (await channelsOf(first.rest))[0]?.active);

    await rename(`${top}/store`, `${top}/away`);
    const sequence = (await report()).sequence!;
    const address = await newAddress(first.rest, "TAPROOT_PUBKEY");
    await first.rest("POST", "/v1/transactions", { addr: address, amount: "1000000", sat_per_vbyte: "2" });
    await chain.mine(2);
    await eventually("the watch to say that the store is away", 60_000, async () => (await report()).pendingSince);
    await rename(`${top}/away`, `${top}/store`);
    await eventually("what waited to be safe", 60_000, async () => (await report()).pendingSince === undefined && (await report()).sequence! > sequence);
    const balance = await balanceOf(first.rest);
    await eventually("the last balance in the store", 40_000, async () => (await report()).sequence === (await stagedManifest(first.host))?.sequence && (await stagedManifest(first.host))?.lightning.confirmedBalance === balance);
    before = { balance, channelPoint: (await channelsOf(first.rest))[0]!.channel_point };
    ending.abort();
    await watching;
  }, 300_000);

  it("makes a first wallet on a chain that has no blocks yet", async () => {
    await first.host.stopUnit(identityTarget);
    const young = await startChain(`${top}/young`, alice.firstAddress);
    const other = await newHost(`${top}/other`, 1, { chain: young, repository: `${top}/other-store` });
    await admit(await admission(other.host), other.host, async () => {});
    expect(await runGate("", other.host)).toMatchObject({ state: "open", decision: "fresh" });
    await other.host.stopUnit(identityTarget);
    await young.stop();
  }, 120_000);

  it("restores seed, funds and channel on a new host after everything was lost, and only then opens", async () => {
    await rm(`${top}/first`, { recursive: true });
    const second = await newHost(`${top}/second`, 2);
    expect(await runGate("", second.host)).toMatchObject({ state: "waiting-for-identity", phase: expect.stringContaining("restore") });
    await admit(await admission(second.host), second.host, async () => {});
    await killedIn("recovering", second);
    await killedLeaving("importing", second);
    const started = Date.now();
    expect(await runGate("", second.host)).toMatchObject({ state: "open", decision: "restore", nodePublicKey: alice.nodePublicKey });
    console.log(`restore, resumed: ${Date.now() - started} ms`);
    expect(await isThere(second.host.paths.admission)).toBe(false);
    expect(await balanceOf(second.rest)).toBe(before.balance);
    expect(await stagedManifest(second.host)).toMatchObject({ generation: 2, lightning: { confirmedBalance: before.balance, channels: 1 } });

    const files = lndFiles(second.host.paths, "regtest");
    const lnd = connectLnd({ port: settings.lightning.restPort, certificateFile: files.certificate, macaroonFile: files.adminMacaroon });
    expect(await eventually("lnd's own channel.backup", 60_000, async () => lnd.channelsIn(await readFile(files.channelBackup)))).toBe(1);

    const closing = await eventually("the peer to force-close", 120_000, async () => {
      type Closing = { channel: { channel_point: string } }[];
      const pending = await second.rest<{ waiting_close_channels: Closing; pending_force_closing_channels: Closing }>("GET", "/v1/channels/pending");
      return [...pending.waiting_close_channels, ...pending.pending_force_closing_channels].find((one) => one.channel.channel_point === before.channelPoint);
    });
    expect(closing).toBeDefined();
    await eventually("the funds to come home", 180_000, async () => {
      await chain.mine(1);
      await sleep(1_000);
      return (await balanceOf(second.rest)) > before.balance + 3_900_000;
    });
    console.log(`home: ${before.balance} -> ${await balanceOf(second.rest)} sat`);
    const closed = await eventually("the channel to be closed", 120_000, async () => {
      await chain.mine(1);
      return (await second.rest<{ channels: { channel_point: string; close_type: string }[] }>("GET", "/v1/channels/closed")).channels.find((one) => one.channel_point === before.channelPoint);
    });
    expect(closed.close_type).toBe("REMOTE_FORCE_CLOSE");
    await second.host.stopUnit(identityTarget);
  }, 480_000);
});
