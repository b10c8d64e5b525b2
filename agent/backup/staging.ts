import { readFile, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { manifestSchema, type Manifest } from "../../formats/manifest.js";
import type { Place } from "../../formats/place.js";
import { parseFormat, printFormat } from "../../formats/versioned.js";
import { readIfThere, writeWhole } from "../files.js";
import type { StoreFacts } from "../gate/decide.js";
import type { GateHost } from "../gate/host.js";
import { readVersions } from "../secrets/versions.js";
import { StoreFailure, type Store } from "./store.js";

/** What goes off-site together. */
export interface Backup {
  readonly manifest: Manifest;
  readonly channelBackup: Buffer;
}

/** The manifest that this disk wrote last, whether or not it reached the store. */
export async function stagedManifest(host: GateHost): Promise<Manifest | undefined> {
  const path = `${host.paths.backupStaging}/manifest.json`;
  const text = await readIfThere(path);
  return text === undefined ? undefined : parseFormat(manifestSchema, path, text);
}

/** A manifest of this place, as it is written now. @param secretsVersion the highest that the node has had, as far as is known */
export function manifestOf(place: Place, sequence: number, lightning: Manifest["lightning"], now: Date, secretsVersion?: number): Manifest {
  return { format: "holdfast-manifest/1", ...place, sequence, written: now.toISOString(), ...(secretsVersion !== undefined && { secretsVersion }), lightning };
}

/** The highest version of secrets that the node has had: a manifest never tells a lower one than the one before. */
export async function highestSecrets({ disk, paths: layout }: GateHost, before: Manifest | undefined): Promise<number | undefined> {
  const known = [before?.secretsVersion, (await readVersions({ disk, layout })).highest].filter((version) => version !== undefined);
  return known.length === 0 ? undefined : Math.max(...known);
}

/**
 * Stages a backup, sends it, and reads it back: only then does it count. The manifest is staged before it is sent, so that a disk never
 * knows of a lower sequence than the store.
 *
 * @throws StoreFailure
 */
export async function sendBackup(host: GateHost, store: Store, { manifest, channelBackup }: Backup): Promise<void> {
  const folder = host.paths.backupStaging;
  await writeWhole(`${folder}/channel.backup`, channelBackup, 0o600);
  await writeWhole(`${folder}/manifest.json`, printFormat(manifestSchema, manifest), 0o600);
  const snapshot = await store.send(folder, manifest.sequence);
  const back = parseFormat(manifestSchema, `manifest.json in the store's snapshot ${snapshot}`, await store.text(snapshot, `${folder}/manifest.json`));
  if (back.sequence !== manifest.sequence || back.lightning.nodePublicKey !== manifest.lightning.nodePublicKey)
    throw new StoreFailure("unreachable", `the store gave back manifest ${back.sequence} of ${back.lightning.nodePublicKey} for snapshot ${snapshot}, and ${manifest.sequence} was sent.`);
}

/** What the store has of this node. Never throws for a store that is away: that is a fact, too. */
export async function storeFacts(store: Store): Promise<StoreFacts> {
  try {
    const newest = await store.newest();
    if (newest === undefined) return { state: "empty" };
    const text = await store.text(newest.id, manifestPath(newest.paths));
    try {
      return { state: "manifest", manifest: parseFormat(manifestSchema, `the manifest of snapshot ${newest.id.slice(0, 8)}`, text) };
    } catch (error) {
      return { state: "unreadable", why: (error as Error).message };
    }
  } catch (error) {
    if (!(error instanceof StoreFailure)) throw error;
    return error.trouble === "absent" ? { state: "empty" } : { state: error.trouble, why: error.message };
  }
}

/**
 * Fetches the newest backup whole.
 *
 * @throws StoreFailure, or FormatError when its manifest cannot be read
 */
export async function fetchBackup(host: GateHost, store: Store): Promise<Backup> {
  const newest = await store.newest();
  if (newest === undefined) throw new StoreFailure("absent", "the store holds no backup of this node any more.");
  const below = `${dirname(host.paths.gateReport)}/restore`;
  try {
    await store.fetch(newest.id, below);
    const text = await readFile(join(below, manifestPath(newest.paths)), "utf8");
    return {
      manifest: parseFormat(manifestSchema, `the manifest of snapshot ${newest.id.slice(0, 8)}`, text),
      channelBackup: await readFile(join(below, dirname(manifestPath(newest.paths)), "channel.backup")),
    };
  } finally {
    await rm(below, { recursive: true, force: true });
  }
}

const manifestPath = (paths: readonly string[]): string => join(paths[0]!, "manifest.json");
