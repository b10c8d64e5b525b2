import { access, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { armor, Encrypter, identityToRecipient } from "age-encryption";
import { describe, expect, it } from "vitest";
import type { Facts } from "../../../../agent/gate/decide.js";
import { unopenedUnit, type GateHost } from "../../../../agent/gate/host.js";
import { readJournal, writeJournal } from "../../../../agent/gate/journal.js";
import type { Lnd } from "../../../../agent/gate/lnd.js";
import { makeNode } from "../../../../agent/gate/make.js";
import { hasChannels, windowFor, type GateWork } from "../../../../agent/gate/wallet.js";
import { manifestOf, stagedManifest } from "../../../../agent/backup/staging.js";
import { StoreFailure, type Store } from "../../../../agent/backup/store.js";
import type { Manifest } from "../../../../formats/manifest.js";
import { fakeHost, fakeLnd, lightning, ours, settings } from "./fakeHost.js";

const manifest = manifestOf({ ...settings.place, generation: 1 }, 7, lightning, new Date("2026-01-01T00:00:00Z"));
const channelBackup = Buffer.alloc(719, 1);

/** A store in memory that knows one backup. */
function fakeStore(host: GateHost, held: Manifest | undefined): Store & { sent: number[]; made: number } {
  const snapshots = new Map<string, string>(held && [["old", JSON.stringify(held)]]);
  const folder = host.paths.backupStaging;
  const store = {
    sent: [] as number[],
    made: held === undefined ? 0 : 1,
    init: async () => void store.made++,
    newest: async () => (snapshots.size === 0 ? undefined : { id: [...snapshots.keys()].at(-1)!, time: "2026-01-01T00:00:00Z", paths: [folder], tags: [] }),
    send: async (_folder: string, sequence: number) => {
      if (store.made === 0) throw new StoreFailure("absent", "no repository");
      snapshots.set(`s${sequence}`, await readFile(`${folder}/manifest.json`, "utf8"));
      store.sent.push(sequence);
      return `s${sequence}`;
    },
    text: async (snapshot: string) => snapshots.get(snapshot)!,
    fetch: async (snapshot: string, below: string) => {
      await mkdir(`${below}${folder}`, { recursive: true });
      await writeFile(`${below}${folder}/manifest.json`, snapshots.get(snapshot)!);
      await writeFile(`${below}${folder}/channel.backup`, channelBackup);
    },
  };
  return store;
}

async function admitted(host: GateHost): Promise<void> {
  const identity = (await readFile(host.paths.identity, "utf8")).split("\n")[1]!;
  const encrypter = new Encrypter();
  encrypter.addRecipient(await identityToRecipient(identity));
  await mkdir(dirname(host.paths.admission), { recursive: true });
  await writeFile(host.paths.admission, armor.encode(await encrypter.encrypt(JSON.stringify({
    format: "holdfast-admission/1", place: settings.place, mnemonic: Array.from({ length: 24 }, () => "abandon"), nodePublicKey: ours, sealedAt: "2026-01-02T03:04:05Z",
  }))));
}

async function scene(change: Partial<Lnd> = {}, held: Manifest | "nothing" = manifest) {
  const { host, asked } = await fakeHost();
  await admitted(host);
  const windows: number[] = [];
  const said: string[] = [];
  let imported = 0;
  const lnd = fakeLnd({
    initWallet: async ({ recoveryWindow }) => {
      windows.push(recoveryWindow);
      await writeFile(`${host.paths.lnd}/data/chain/bitcoin/regtest/wallet.db`, "");
    },
    restoreChannels: async () => void imported++,
    state: async () => (asked.filter((one) => one === `start ${unopenedUnit}`).length > windows.length ? "NON_EXISTING" : "SERVER_ACTIVE"),
    ...change,
  });
  const work: GateWork = { host, settings, lnd, say: async ({ state, phase }) => void said.push(`${state}: ${phase}`) };
  const store = fakeStore(host, held === "nothing" ? undefined : held);
  const facts = async (): Promise<Facts> => ({ place: settings.place, nodePublicKey: ours, disk: { wallet: "absent", journal: await readJournal(host), sequence: undefined }, store: { state: "empty" }, admission: { state: "absent" }, files: [], secrets: { installed: undefined, accepted: undefined }, running: undefined });
  return { host, work, store, facts, windows, said, imported: () => imported, asked };
}
const restore = { kind: "restore", manifest } as const;
const missing = (path: string) => access(path).then(() => false, () => true);

describe("windowFor", () => {
  it("reaches past the highest address that the manifest knows", () => expect(windowFor({ addresses: { external: 40, internal: 300 }, confirmedBalance: 5 })).toBe(400));
  it("is the largest when there are funds and no address is known, and never larger", () => {
    expect(windowFor({ addresses: { external: 0, internal: 0 }, confirmedBalance: 5 })).toBe(2500);
    expect(windowFor({ addresses: { external: 90_000, internal: 1 }, confirmedBalance: 5 })).toBe(2500);
  });
  it("is small for a wallet that never gave an address away", () => {
    expect(windowFor({ addresses: { external: 0, internal: 0 }, confirmedBalance: 0 })).toBe(100);
  });
});

describe("hasChannels", () => {
  it("believes the file as well as the manifest", () => {
    const none = { ...manifest, lightning: { ...lightning, channels: 0 } };
    expect([hasChannels(none, Buffer.alloc(45)), hasChannels(none, Buffer.alloc(0)), hasChannels(none, Buffer.alloc(719)), hasChannels(manifest, Buffer.alloc(45))]).toEqual([false, false, true, true]);
  });
});

describe("makeNode", () => {
  it("restores, imports, and sends a manifest of this generation that follows the last one", async () => {
    const { host, work, store, facts, windows, imported } = await scene();
    expect(await makeNode(work, store, await facts(), restore)).toBe("made");
    expect([windows, imported(), store.sent]).toEqual([[103], 1, [8]]);
    expect(await stagedManifest(host)).toMatchObject({ generation: 2, sequence: 8, lightning: { channels: 1 } });
    expect(await readFile(`${host.paths.backupStaging}/channel.backup`)).toEqual(channelBackup);
    expect((await readJournal(host))?.phase).toBe("opened");
    expect(await missing(host.paths.admission)).toBe(true);
  });

  it("makes the wallet once more with the largest window when funds are missing", async () => {
    const windows: number[] = [];
    const { work, store, facts, imported } = await scene({
      initWallet: async ({ recoveryWindow }) => void windows.push(recoveryWindow),
      confirmedBalance: async () => (windows.at(-1)! < 2500 ? 4_000 : 5_000), balanceAt: async () => 0,
      state: async () => (windows.length < 2 ? "NON_EXISTING" : "SERVER_ACTIVE"),
    });
    expect(await makeNode(work, store, await facts(), restore)).toBe("made");
    expect([windows, imported()]).toEqual([[103, 2500], 1]);
  });

  it("stops with both numbers when funds stay missing, with nothing imported or sent", async () => {
    const { host, work, store, facts, imported } = await scene({ confirmedBalance: async () => 4_000, balanceAt: async () => 4_000, state: async () => "NON_EXISTING" });
    await expect(makeNode(work, store, await facts(), restore)).rejects.toThrow(/holds 4000 sat.*says 5000 sat/);
    expect([imported(), store.sent, (await readJournal(host))?.phase]).toEqual([0, [], "recovering"]);
    expect(await missing(host.paths.admission)).toBe(false);
  });

  it("takes coins that were spent after the manifest for no loss", async () => {
    const { work, store, facts, windows } = await scene({ confirmedBalance: async () => 1_000, balanceAt: async (height) => (height === 100 ? 5_000 : 0) });
    expect(await makeNode(work, store, await facts(), restore)).toBe("made");
    expect(windows).toEqual([103]);
  });

  it("never imports into a wallet of another node id", async () => {
    const { host, work, store, facts, imported } = await scene({ info: async () => ({ nodePublicKey: `03${"b".repeat(64)}`, blockHeight: 120, synced: true }) });
    await expect(makeNode(work, store, await facts(), restore)).rejects.toThrow("lnd answers as node 03bbb");
    expect([imported(), store.sent, (await readJournal(host))?.phase]).toEqual([0, [], "creating"]);
  });

  it("waits for the chain and then looks from the beginning, when lnd had begun before the blocks were there", async () => {
    const heights = [20, 60, 100];
    const windows: number[] = [];
    const { work, store, facts, said } = await scene({
      initWallet: async ({ recoveryWindow }) => void windows.push(recoveryWindow),
      info: async () => ({ nodePublicKey: ours, blockHeight: windows.length === 0 ? 0 : heights.length > 1 ? heights.shift()! : 100, synced: true }),
      state: async () => (windows.length < 2 ? "NON_EXISTING" : "SERVER_ACTIVE"),
    });
    expect(await makeNode(work, store, await facts(), restore)).toBe("made");
    expect(windows).toEqual([103, 103]);
    expect(said).toContain("waiting-for-chain: the chain backend is at height 60 of 100 or more");
  });

  it("makes the repository for a first wallet, and looks for funds there too", async () => {
    const { work, store, facts, windows, imported } = await scene({}, "nothing");
    expect(await makeNode(work, store, await facts(), { kind: "fresh" })).toBe("made");
    expect([windows, imported(), store.sent, store.made]).toEqual([[100], 0, [0], 1]);
  });

  it("never makes a repository where it had restored from one", async () => {
    const { work, store, facts } = await scene();
    store.send = async () => {
      throw new StoreFailure("absent", "gone");
    };
    await expect(makeNode(work, store, await facts(), restore)).rejects.toThrow("gone");
    expect(store.made).toBe(1);
  });

  it.each(["recovering", "importing", "sending"] as const)("goes on from %s without a seed, under the window that was chosen", async (phase) => {
    const { host, work, store, facts, windows, imported } = await scene({ state: async () => "SERVER_ACTIVE" });
    await writeJournal(host, { place: settings.place, nodePublicKey: ours, decision: "restore", phase, recoveryWindow: 777 });
    await rm(host.paths.admission);
    expect(await makeNode(work, store, await facts(), { ...restore, resume: phase })).toBe("made");
    expect([windows, imported(), store.sent]).toEqual([[], phase === "sending" ? 0 : 1, [8]]);
    expect(await readJournal(host)).toMatchObject({ phase: "opened", recoveryWindow: 777 });
  });

  it("asks for the one-use bundle again when the wallet must be made again and the host was restarted", async () => {
    const { host, work, store, facts, said } = await scene({ confirmedBalance: async () => 0, balanceAt: async () => 0 });
    await writeJournal(host, { place: settings.place, nodePublicKey: ours, decision: "restore", phase: "recovering", recoveryWindow: 103 });
    await rm(host.paths.admission);
    expect(await makeNode(work, store, await facts(), { ...restore, resume: "recovering" })).toBe("waiting-for-identity");
    expect(said.at(-1)).toMatch(/^waiting-for-identity: .*2500 addresses ahead/);
  });

  it("stops when another host writes while it looks", async () => {
    const { work, store, facts, windows } = await scene({}, { ...manifest, sequence: 9 });
    await expect(makeNode(work, store, await facts(), restore)).rejects.toThrow(/manifest 7 in the store was followed by 9/);
    expect(windows).toEqual([]);
  });
});
