import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { generateIdentity } from "age-encryption";
import { onTestFinished } from "vitest";
import { systemHost, type GateHost, type Layout } from "../../../../agent/gate/host.js";
import type { Lnd } from "../../../../agent/gate/lnd.js";
import { hostLayout } from "../../../../formats/hostLayout.js";
import type { Manifest } from "../../../../formats/manifest.js";
import { nixosSchema, type Settings } from "../../../../formats/settings.js";

export const ours = `02${"a".repeat(64)}`;
export const foreign = `03${"b".repeat(64)}`;
export const settings: Settings = {
  format: "holdfast-settings/1",
  place: { environment: "dev", network: "regtest", node: "alice", generation: 2 },
  authorizedKeys: ["ssh-ed25519 AAAA test"],
  lightning: { alias: "alice", nodePublicKey: ours, p2pPort: 9735, restPort: 8080 },
  services: ["bitcoind", "lnd", "wireguard", "offsite-backup"],
  nixos: nixosSchema.parse({}),
  identities: [],
  bitcoin: { peers: [], rpcUser: "lnd" },
  tunnel: { address: "10.0.0.1", prefixLength: 24, port: 51820, publicKey: "x", peers: [] },
  firewall: { policy: [], backend: "nftables", ruleset: "" },
  backup: { repository: "/nowhere", user: "alice" },
};
export const lightning: Manifest["lightning"] = { nodePublicKey: ours, confirmedBalance: 5_000, addresses: { external: 3, internal: 1 }, channels: 1, blockHeight: 100 };

/** A host in a folder of its own, whose clock moves only while it pauses. */
export async function fakeHost(): Promise<{ readonly host: GateHost; readonly folder: string; readonly units: Set<string>; readonly asked: string[] }> {
  const folder = await mkdtemp(`${tmpdir()}/holdfast-unit-`);
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const paths = Object.fromEntries(Object.entries(hostLayout).map(([name, path]) => [name, path.startsWith("/") ? `${folder}${path}` : path])) as Layout;
  for (const path of [paths.secrets, `${folder}/etc/holdfast`, paths.state, `${paths.lnd}/data/chain/bitcoin/regtest`]) await mkdir(path, { recursive: true });
  await writeFile(paths.settings, JSON.stringify(settings));
  await writeFile(paths.identity, `# made by the host\n${await generateIdentity()}\n`);
  await writeFile(`${paths.secrets}/lnd-wallet-password`, "a-wallet-password\n");
  await writeFile(`${paths.secrets}/lnd-macaroon-root-key`, "ab".repeat(32));
  const units = new Set<string>();
  const asked: string[] = [];
  let now = Date.parse("2026-01-02T03:04:05Z");
  const host: GateHost = {
    ...systemHost,
    paths,
    // This process's own: no test gives files away.
    owners: async () => ({ users: new Map(["tor", "clightning"].map((name) => [name, process.getuid!()])), groups: new Map(["tor", "clightning"].map((name) => [name, process.getgid!()])) }),
    now: () => new Date(now),
    pause: async (milliseconds) => void (now += milliseconds),
    startUnit: async (unit) => {
      asked.push(`start ${unit}`);
      units.add(unit);
    },
    stopUnit: async (unit) => {
      asked.push(`stop ${unit}`);
      units.delete(unit);
    },
    unitRuns: async (unit) => units.has(unit),
    waits: { store: 1_000, answer: 30_000, chain: 600_000, poll: 1_000 },
  };
  return { host, folder, units, asked };
}

/** An lnd that has everything a manifest says; a test overrides what it is about. */
export function fakeLnd(change: Partial<Lnd> = {}): Lnd {
  return {
    state: async () => "NON_EXISTING",
    initWallet: async () => {},
    unlock: async () => {},
    info: async () => ({ nodePublicKey: ours, blockHeight: 120, synced: true }),
    recovery: async () => ({ finished: true, progress: 1 }),
    confirmedBalance: async () => lightning.confirmedBalance,
    balanceAt: async () => lightning.confirmedBalance,
    addresses: async () => lightning.addresses,
    channelsIn: async () => 1,
    restoreChannels: async () => {},
    ...change,
  };
}
