import { createHash } from "node:crypto";
import { watch, type FSWatcher } from "node:fs";
import { readFile } from "node:fs/promises";
import { backupReportSchema, type BackupReport } from "../../formats/backupReport.js";
import type { Manifest } from "../../formats/manifest.js";
import { settingsSchema, type Settings } from "../../formats/settings.js";
import { parseFormat, printFormat } from "../../formats/versioned.js";
import { readIfThere, writeWhole } from "../files.js";
import { lndFiles, systemHost, type GateHost } from "../gate/host.js";
import { connectLnd, LndRefusal, LndSilence, type Lnd } from "../gate/lnd.js";
import { highestSecrets, manifestOf, sendBackup, stagedManifest } from "./staging.js";
import { openStore, StoreFailure, type Store } from "./store.js";

/** Milliseconds between two digests of channel.backup: what the folder's own notice misses is seen then. */
const DIGEST_EVERY = 2_000;
/** Milliseconds between two looks at lnd's balance and addresses. */
const FACTS_EVERY = 15_000;
const LONGEST_BACKOFF = 60_000;

/** Milliseconds to wait after so many failures in a row: 2 s, doubled each time, a minute at most. */
export const backoff = (failures: number): number => Math.min(LONGEST_BACKOFF, 2_000 * 2 ** Math.max(0, failures - 1));

/**
 * Watches what a rebuild needs, for ever: a changed channel.backup goes off-site at once, changed balance or addresses within seconds. While the store is away it says so and tries on.
 *
 * @param signal ends it: for tests
 */
export async function watchBackup(_input = "", host: GateHost = systemHost, signal?: AbortSignal): Promise<void> {
  const settings = parseFormat(settingsSchema, host.paths.settings, await readFile(host.paths.settings, "utf8"));
  const files = lndFiles(host.paths, settings.place.network);
  const lnd = connectLnd({ port: settings.lightning.restPort, certificateFile: files.certificate, macaroonFile: files.adminMacaroon });
  const wakeUp = noticeChanges(files.chain, "channel.backup");
  try {
    await watchWith({ host, settings, lnd, store: openStore(host, settings), ...(signal && { signal }) }, wakeUp.next);
  } finally {
    wakeUp.close();
  }
}

interface Watching {
  readonly host: GateHost;
  readonly settings: Settings;
  readonly lnd: Lnd;
  readonly store: Store;
  readonly signal?: AbortSignal;
}

/** The loop, with its parts from outside. @param next resolves when the file may have changed, or after so many milliseconds */
export async function watchWith({ host, settings, lnd, store, signal }: Watching, next: (milliseconds: number) => Promise<void>): Promise<void> {
  const path = lndFiles(host.paths, settings.place.network).channelBackup;
  let report = await readReport(host);
  let facts: Manifest["lightning"] | undefined;
  let factsAt = -Infinity;
  let failures = 0;
  let tried = { at: -Infinity, digest: "" };
  while (!signal?.aborted) {
    const channelBackup = await readBytes(path);
    const now = host.now().getTime();
    const digest = channelBackup === undefined ? "" : digestOf(channelBackup);
    const changedFile = channelBackup !== undefined && digest !== report.channelBackupDigest;
    const previous = await stagedManifest(host);
    if (changedFile || now - factsAt >= FACTS_EVERY) {
      facts = await lightningFacts(lnd, settings, previous?.lightning, channelBackup) ?? facts;
      factsAt = now;
    }
    const secretsVersion = await highestSecrets(host, previous);
    const unsent = previous === undefined || report.sequence !== previous.sequence;
    if (facts !== undefined && channelBackup !== undefined && (changedFile || unsent || secretsVersion !== previous.secretsVersion || differs(previous.lightning, facts))) {
      if (failures === 0 || digest !== tried.digest || now - tried.at >= backoff(failures)) {
        tried = { at: now, digest };
        const stale = previous === undefined || differs(previous.lightning, facts) || previous.generation !== settings.place.generation || secretsVersion !== previous.secretsVersion;
        // The file alone may have changed: then, too, the sequence tells which snapshot is the newest.
        const manifest = stale || !unsent ? manifestOf(settings.place, (previous?.sequence ?? -1) + 1, facts, host.now(), secretsVersion) : previous;
        report = await attempt({ host, store }, report, { manifest, channelBackup });
        failures = report.pendingSince === undefined ? 0 : failures + 1;
      }
    }
    await next(DIGEST_EVERY);
  }
}

async function attempt({ host, store }: Pick<Watching, "host" | "store">, report: BackupReport, backup: { readonly manifest: Manifest; readonly channelBackup: Buffer }): Promise<BackupReport> {
  try {
    await sendBackup(host, store, backup);
  } catch (error) {
    if (!(error instanceof StoreFailure)) throw error;
    const remedy = error.trouble === "absent" ? " The repository is gone or was never made: name the right one, or make it with restic init." : "";
    process.stderr.write(`Backup ${backup.manifest.sequence} is not safe yet: ${error.message}.${remedy} Trying on.\n`);
    return writeReport(host, { ...report, pendingSince: report.pendingSince ?? host.now().toISOString(), trouble: `${error.message}${remedy}` });
  }
  if (report.pendingSince !== undefined) process.stderr.write(`The store is back: what waited since ${report.pendingSince} is safe.\n`);
  return writeReport(host, {
    format: "holdfast-backup-report/1", lastBackup: host.now().toISOString(), sequence: backup.manifest.sequence, channelBackupDigest: digestOf(backup.channelBackup),
  });
}

/**
 * What a manifest says of lnd. Balance and addresses are taken from an lnd that is in step with the chain alone; from one that is not, or is silent, the
 * previous ones stand, but channels are always counted in the very file that is sent.
 *
 * @throws when lnd is another node than the settings name: its backup must not take this one's place
 */
async function lightningFacts(lnd: Lnd, settings: Settings, previous: Manifest["lightning"] | undefined, channelBackup: Buffer | undefined): Promise<Manifest["lightning"] | undefined> {
  try {
    const info = await lnd.info();
    if (info.nodePublicKey !== settings.lightning.nodePublicKey) throw new Error(`lnd answers as node ${info.nodePublicKey}, and the settings name ${settings.lightning.nodePublicKey}: nothing of it is sent.`);
    const channels = channelBackup === undefined || channelBackup.length === 0 ? 0 : await channelsIn(lnd, channelBackup);
    if (!info.synced) return previous && { ...previous, channels };
    const addresses = await lnd.addresses();
    return {
      nodePublicKey: info.nodePublicKey,
      confirmedBalance: await lnd.confirmedBalance(),
      addresses: { external: Math.max(addresses.external, previous?.addresses.external ?? 0), internal: Math.max(addresses.internal, previous?.addresses.internal ?? 0) },
      channels,
      blockHeight: info.blockHeight,
    };
  } catch (error) {
    if (error instanceof LndSilence || error instanceof LndRefusal || (error as NodeJS.ErrnoException).code === "ENOENT") return previous;
    throw error;
  }
}

/** @throws Error when the file is not this seed's: sending it would put an unreadable backup in the place of a good one */
async function channelsIn(lnd: Lnd, channelBackup: Buffer): Promise<number> {
  try {
    return await lnd.channelsIn(channelBackup);
  } catch (error) {
    if (error instanceof LndRefusal && /invalid multi channel backup/.test(error.said)) throw new Error(`channel.backup is not readable with this node's seed and is not sent: ${error.said}`);
    throw error;
  }
}

/** A higher block alone is no news. */
function differs(one: Manifest["lightning"], other: Manifest["lightning"]): boolean {
  return one.confirmedBalance !== other.confirmedBalance || one.channels !== other.channels
    || one.addresses.external !== other.addresses.external || one.addresses.internal !== other.addresses.internal;
}

const reportPath = (host: GateHost): string => `${host.paths.state}/backup-report.json`;

/** What the watch said of itself last. */
export async function readReport(host: GateHost): Promise<BackupReport> {
  const text = await readIfThere(reportPath(host));
  return text === undefined ? { format: "holdfast-backup-report/1" } : parseFormat(backupReportSchema, reportPath(host), text);
}

async function writeReport(host: GateHost, report: BackupReport): Promise<BackupReport> {
  await writeWhole(reportPath(host), printFormat(backupReportSchema, report), 0o600);
  return report;
}

async function readBytes(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

const digestOf = (bytes: Buffer): string => createHash("sha256").update(bytes).digest("hex");

/** Wakes up when a file of a folder changes, also when it changed while nobody waited. */
function noticeChanges(folder: string, name: string): { readonly next: (milliseconds: number) => Promise<void>; readonly close: () => void } {
  let noticed = false;
  let wake: (() => void) | undefined;
  const watcher: FSWatcher = watch(folder, (_event, file) => {
    if (file !== name) return;
    noticed = true;
    wake?.();
  });
  watcher.on("error", (error) => process.stderr.write(`${folder} is no longer watched (${error.message}); it is looked at every ${DIGEST_EVERY / 1000} s.\n`));
  return {
    next: async (milliseconds) => {
      if (!noticed) {
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, milliseconds);
          wake = () => {
            clearTimeout(timer);
            resolve();
          };
        });
      }
      noticed = false;
      wake = undefined;
    },
    close: () => watcher.close(),
  };
}
