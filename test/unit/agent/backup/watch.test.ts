import { createHash } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { lndFiles, type GateHost } from "../../../../agent/gate/host.js";
import { LndSilence, type Lnd } from "../../../../agent/gate/lnd.js";
import { stagedManifest } from "../../../../agent/backup/staging.js";
import { StoreFailure, type Store } from "../../../../agent/backup/store.js";
import { backoff, watchWith } from "../../../../agent/backup/watch.js";
import type { Manifest } from "../../../../formats/manifest.js";
import { backupReportSchema } from "../../../../formats/backupReport.js";
import { fakeHost, fakeLnd, foreign, lightning, settings } from "../gate/fakeHost.js";

const digest = (text: string) => createHash("sha256").update(text).digest("hex");

/** Runs the loop for some rounds of two seconds each; `each` sees every round before it. */
async function watched(rounds: number, each: (round: number) => Promise<void> | void, change: Partial<Lnd> = {}, whileSending: (sequence: number) => Promise<void> | void = () => {}) {
  const { host } = await fakeHost();
  const file = lndFiles(host.paths, "regtest").channelBackup;
  const sent: { sequence: number; channelBackup: string; manifest: string }[] = [];
  const store: Store = {
    init: async () => expect.unreachable("the watch makes no repository"),
    newest: async () => undefined,
    send: async (folder, sequence) => {
      const files = { channelBackup: await readFile(`${folder}/channel.backup`, "utf8"), manifest: await readFile(`${folder}/manifest.json`, "utf8") };
      await whileSending(sequence);
      sent.push({ sequence, ...files });
      return String(sent.length - 1);
    },
    text: async (snapshot) => sent[Number(snapshot)]!.manifest,
    fetch: async () => {},
  };
  const ending = new AbortController();
  let round = 0;
  const write = (text: string) => writeFile(file, text);
  const context = { host, sent, write, report: async () => backupReportSchema.parse(JSON.parse(await readFile(`${host.paths.state}/backup-report.json`, "utf8"))) };
  const run = async (before: (round: number, its: typeof context) => Promise<void> | void) => {
    await before(round, context);
    await watchWith({ host, settings, lnd: fakeLnd(change), store, signal: ending.signal }, async (milliseconds) => {
      await host.pause(milliseconds);
      if (++round >= rounds) ending.abort();
      else {
        await each(round);
        await before(round, context);
      }
    });
    return context;
  };
  return { run, context, write };
}

describe("watchBackup", () => {
  it("sends what is there, once, and says what is safe", async () => {
    const { run } = await watched(12, () => {});
    const { sent, report } = await run((round, its) => (round === 0 ? its.write("one") : undefined));
    expect(sent.map((one) => [one.sequence, one.channelBackup])).toEqual([[0, "one"]]);
    expect(await report()).toMatchObject({ sequence: 0, channelBackupDigest: digest("one") });
    expect((await report()).pendingSince).toBeUndefined();
  });

  it("tells the highest version of secrets that the host has had, at once when it rises, and never a lower one", async () => {
    const highest = (host: GateHost, version: number) => writeFile(host.paths.secretsVersions, JSON.stringify({ format: "holdfast-secrets-versions/1", highest: version }));
    const { run } = await watched(8, () => {});
    const { sent } = await run(async (round, its) => {
      if (round === 0) await its.write("one");
      if (round === 2) await highest(its.host, 9);
      if (round === 5) await highest(its.host, 8);
    });
    expect(sent.map(({ sequence, manifest }) => [sequence, (JSON.parse(manifest) as Manifest).secretsVersion])).toEqual([[0, undefined], [1, 9]]);
  });

  it("sends a changed channel.backup in the next round, under the next sequence", async () => {
    const { run } = await watched(4, () => {});
    const { sent } = await run((round, its) => (round === 0 ? its.write("one") : round === 2 ? its.write("two") : undefined));
    expect(sent.map((one) => [one.sequence, one.channelBackup])).toEqual([[0, "one"], [1, "two"]]);
  });

  it("does not miss a change during an upload", async () => {
    let write = async (_text: string): Promise<unknown> => undefined;
    const scene = await watched(4, () => {}, {}, async (sequence) => void (sequence === 0 && (await write("two"))));
    write = scene.write;
    const { sent, report } = await scene.run((round, its) => (round === 0 ? its.write("one") : undefined));
    expect(sent.map((one) => one.channelBackup)).toEqual(["one", "two"]);
    expect((await report()).channelBackupDigest).toBe(digest("two"));
  });

  it("sends a changed balance within fifteen seconds, and no manifest for a block alone", async () => {
    let balance = 5_000;
    let height = 100;
    const { run } = await watched(24, (round) => {
      height++;
      if (round === 9) balance = 6_000;
    }, { confirmedBalance: async () => balance, info: async () => ({ nodePublicKey: lightning.nodePublicKey, blockHeight: height, synced: true }) });
    const { sent } = await run((round, its) => (round === 0 ? its.write("one") : undefined));
    expect(sent.map((one) => (JSON.parse(one.manifest) as { lightning: { confirmedBalance: number } }).lightning.confirmedBalance)).toEqual([5_000, 6_000]);
  });

  it("tries on while the store is away, under one sequence, and says since when", async () => {
    let away = true;
    const waiting: (string | undefined)[] = [];
    const scene = await watched(20, async () => void waiting.push((await scene.context.report()).pendingSince), {}, () => {
      if (away) throw new StoreFailure("unreachable", "connection refused");
    });
    const { sent, report, host } = await scene.run((round, its) => {
      if (round === 8) away = false;
      return round === 0 ? its.write("one") : undefined;
    });
    expect(new Set(waiting.slice(0, 8)).size).toBe(1);
    expect(waiting[0]).toBeDefined();
    expect(sent.map((one) => one.sequence)).toEqual([0]);
    expect((await stagedManifest(host))?.sequence).toBe(0);
    expect((await report()).pendingSince).toBeUndefined();
  });

  it("tries a new channel.backup at once, however long it has been failing", async () => {
    const tried: string[] = [];
    const scene = await watched(14, () => {}, {}, async () => {
      tried.push(await readFile(`${scene.context.host.paths.backupStaging}/channel.backup`, "utf8"));
      throw new StoreFailure("unreachable", "connection refused");
    });
    await scene.run((round, its) => (round === 0 ? its.write("one") : round === 10 ? its.write("two") : undefined));
    expect(tried).toEqual(["one", "one", "one", "one", "two"]);
  });

  it("keeps the last known balance while lnd is not in step with the chain, and still sends its channels", async () => {
    let synced = true;
    const { run } = await watched(12, (round) => void (synced = round < 2), {
      info: async () => ({ nodePublicKey: lightning.nodePublicKey, blockHeight: 1, synced }), confirmedBalance: async () => (synced ? 5_000 : 0), channelsIn: async (bytes) => (bytes.toString() === "two" ? 2 : 1),
    });
    const { sent } = await run((round, its) => (round === 0 ? its.write("one") : round === 3 ? its.write("two") : undefined));
    expect(JSON.parse(sent.at(-1)!.manifest)).toMatchObject({ sequence: 1, lightning: { confirmedBalance: 5_000, channels: 2 } });
  });

  it("sends a channel.backup that lnd wrote while it stopped", async () => {
    let silent = false;
    const { run } = await watched(6, (round) => void (silent = round >= 2), {
      info: async () => {
        if (silent) throw new LndSilence("GET /v1/getinfo", "connection refused");
        return { nodePublicKey: lightning.nodePublicKey, blockHeight: 1, synced: true };
      },
    });
    const { sent } = await run((round, its) => (round === 0 ? its.write("one") : round === 3 ? its.write("two") : undefined));
    expect(sent.map((one) => one.channelBackup)).toEqual(["one", "two"]);
  });

  it("never lets the address counts sink", async () => {
    let external = 9;
    const { run } = await watched(12, () => void (external = 2), { addresses: async () => ({ external, internal: 1 }) });
    const { host } = await run((round, its) => (round === 0 ? its.write("one") : undefined));
    expect((await stagedManifest(host))?.lightning.addresses.external).toBe(9);
  });

  it("sends nothing of another node", async () => {
    const { run, context } = await watched(3, () => {}, { info: async () => ({ nodePublicKey: foreign, blockHeight: 1, synced: true }) });
    await expect(run((_round, its) => its.write("one"))).rejects.toThrow(`lnd answers as node ${foreign}`);
    expect(context.sent).toEqual([]);
  });
});

describe("backoff", () => {
  it("doubles from two seconds to a minute", () => expect([1, 2, 3, 6, 60].map(backoff)).toEqual([2_000, 4_000, 8_000, 60_000, 60_000]));
});
