import { readdir, readFile, rm } from "node:fs/promises";
import type { GateReport } from "../../formats/gate.js";
import type { Admission } from "../../formats/identity.js";
import type { Manifest } from "../../formats/manifest.js";
import type { Settings } from "../../formats/settings.js";
import { lndFiles, openedUnit, unopenedUnit, type GateHost } from "./host.js";
import { LndRefusal, LndSilence, type Lnd } from "./lnd.js";

/** The gate refuses to go on; for a person under stress: what is wrong, and what to do. */
export class GateStop extends Error {
  constructor(readonly reason: string, readonly remedy: string) {
    super(`${reason}\n${remedy}`);
  }
}

/** What all steps of the gate work with. */
export interface GateWork {
  readonly host: GateHost;
  readonly settings: Settings;
  readonly lnd: Lnd;
  say(report: Pick<GateReport, "state" | "phase">): Promise<void>;
}

/** The largest window that lnd's own documentation recommends; a scan with it takes about twenty times as long as one with 100. */
export const LARGEST_WINDOW = 2500;
/** Also for a wallet made for the first time: without a window lnd looks for nothing, and a lost store would hide the funds of a seed that was used before. */
export const FRESH_WINDOW = 100;
/** Addresses that may have been handed out after the last manifest was written. */
const WINDOW_MARGIN = 100;
/** A channel.backup without channels: nonce, version, count and tag. @see lnd chanbackup/multi.go */
const EMPTY_CHANNEL_BACKUP = 45;

/** How many addresses lnd must look ahead so that it finds all that a manifest knows of. */
export function windowFor({ addresses, confirmedBalance }: Pick<Manifest["lightning"], "addresses" | "confirmedBalance">): number {
  const highest = Math.max(addresses.external, addresses.internal);
  const unknown = highest === 0 && confirmedBalance > 0;
  return unknown ? LARGEST_WINDOW : Math.min(LARGEST_WINDOW, highest + WINDOW_MARGIN);
}

/** Whether a restore has something to import. */
export const hasChannels = (manifest: Manifest, channelBackup: Buffer): boolean =>
  manifest.lightning.channels > 0 || channelBackup.length > EMPTY_CHANNEL_BACKUP;

/**
 * Looks until there is an answer. An lnd that is silent, still starting, or locked again after a restart is waited for.
 *
 * @param within milliseconds
 * @throws GateStop with what lnd said last
 */
export async function waitFor<T>(work: GateWork, { what, within, window, unit }: { what: string; within: number; window?: number; unit: string }, look: () => Promise<T | undefined>): Promise<T> {
  const end = work.host.now().getTime() + within;
  let last = "it gave no reason";
  for (;;) {
    try {
      const found = await look();
      if (found !== undefined) return found;
    } catch (error) {
      if (!isPassing(error)) throw error;
      last = (error as Error).message;
      // lnd ends when its chain backend is away, and comes back locked.
      if (unit !== openedUnit && !(await work.host.unitRuns(unopenedUnit))) await work.host.startUnit(unopenedUnit);
      if (window !== undefined) await unlockIfLocked(work, window);
    }
    if (work.host.now().getTime() >= end)
      throw new GateStop(`The gate waited ${Math.round(within / 1000)} s for ${what}: ${last}.`, `See journalctl -u ${unit} and whether the chain backend runs; then: systemctl restart holdfast-gate.service. The gate goes on where it was.`);
    await work.host.pause(work.host.waits.poll);
  }
}

/** The macaroon's file is missing until lnd has written it; a refusal says that lnd starts, or is locked. */
const isPassing = (error: unknown): boolean => error instanceof LndSilence || error instanceof LndRefusal || (error as NodeJS.ErrnoException).code === "ENOENT";

async function unlockIfLocked({ host, settings, lnd }: GateWork, recoveryWindow: number): Promise<void> {
  try {
    if ((await lnd.state()) === "LOCKED") await lnd.unlock({ password: await walletPassword(host, settings), recoveryWindow });
  } catch (error) {
    if (error instanceof LndRefusal && /invalid passphrase/.test(error.said))
      throw new GateStop("The wallet on this disk does not open with the delivered wallet password.", "Bring back the root of the password with which it was made (it is protected in the stack's state), deliver it, then: systemctl restart holdfast-gate.service");
    if (!isPassing(error)) throw error;
  }
}

/** lnd takes the file without its last newlines. */
const walletPassword = async (host: GateHost, settings: Settings): Promise<string> =>
  (await readFile(lndFiles(host.paths, settings.place.network).walletPassword, "utf8")).replace(/[\r\n]+$/, "");

/**
 * Makes the wallet in an lnd that is not opened, from the first word on. Whatever a killed attempt left of a wallet is removed: the journal
 * says `creating`, so none of its addresses was handed out.
 */
export async function createWallet(work: GateWork, admission: Admission, recoveryWindow: number): Promise<void> {
  const { host, settings, lnd } = work;
  const files = lndFiles(host.paths, settings.place.network);
  await host.stopUnit(unopenedUnit);
  await removePartOfWallet(files.chain);
  await work.say({ state: "working", phase: "making the wallet" });
  await host.startUnit(unopenedUnit);
  await waitFor(work, { what: "an lnd in which a wallet can be made", within: host.waits.answer, unit: unopenedUnit }, async () => (await lnd.state()) === "NON_EXISTING" || undefined);
  const macaroonRootKey = Buffer.from((await readFile(files.macaroonRootKey, "utf8")).trim(), "hex");
  if (macaroonRootKey.length !== 32) throw new GateStop(`${files.macaroonRootKey} does not hold 64 hex digits.`, "Deliver the secrets again.");
  await lnd.initWallet({ mnemonic: admission.mnemonic, password: await walletPassword(host, settings), macaroonRootKey, recoveryWindow });
  await requireNodeId(work, { window: recoveryWindow, unit: unopenedUnit });
}

/** wallet.db, and the macaroons that belong to it. channel.db is never touched. */
async function removePartOfWallet(chain: string): Promise<void> {
  for (const name of await readdir(chain).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return [];
    throw error;
  })) {
    if (name === "wallet.db" || name === "macaroons.db" || name.endsWith(".macaroon")) await rm(`${chain}/${name}`);
  }
}

/** Starts the lnd that is not opened on a wallet that exists, and unlocks it. */
export async function resumeWallet(work: GateWork, recoveryWindow: number): Promise<void> {
  await work.host.stopUnit(unopenedUnit);
  await work.say({ state: "working", phase: "going on with the wallet that was being made" });
  await work.host.startUnit(unopenedUnit);
  await requireNodeId(work, { window: recoveryWindow, unit: unopenedUnit });
}

/** @throws GateStop when lnd answers with another node id than the one that the settings name */
export async function requireNodeId(work: GateWork, { window, unit }: { readonly window?: number; readonly unit: string }): Promise<void> {
  const { nodePublicKey } = work.settings.lightning;
  const found = await waitFor(work, { what: "lnd's node id", within: work.host.waits.answer, unit, ...(window !== undefined && { window }) }, async () => (await work.lnd.info()).nodePublicKey);
  if (found !== nodePublicKey)
    throw new GateStop(`lnd answers as node ${found}, and the settings name ${nodePublicKey}.`, "It was not opened. The identity in the stack and the seed under it do not belong together: correct the one that is wrong, and deploy again.");
}

/** Waits until the chain backend has reached a height. @returns whether it had to wait */
export async function chainReaches(work: GateWork, height: number, window: number): Promise<"at once" | "waited"> {
  let waited: "at once" | "waited" = "at once";
  await waitFor(work, { what: `the chain to reach height ${height}`, within: work.host.waits.chain, window, unit: "bitcoind.service" }, async () => {
    const { blockHeight } = await work.lnd.info();
    if (blockHeight >= height) return true;
    waited = "waited";
    await work.say({ state: "waiting-for-chain", phase: `the chain backend is at height ${blockHeight} of ${height} or more` });
    return undefined;
  });
  return waited;
}

/** Waits until lnd has looked for the wallet's funds in the whole chain. */
export async function recoverFunds(work: GateWork, window: number): Promise<void> {
  await waitFor(work, { what: "lnd to look for the wallet's funds", within: work.host.waits.chain, window, unit: unopenedUnit }, async () => {
    const { finished, progress } = await work.lnd.recovery();
    if (finished) return true;
    const { blockHeight } = await work.lnd.info();
    await work.say(progress === 0
      ? { state: "waiting-for-chain", phase: `lnd waits for the chain backend, which is at height ${blockHeight}` }
      : { state: "working", phase: `looking for the wallet's funds: ${Math.floor(progress * 100)} % of the chain up to ${blockHeight}, ${window} addresses ahead` });
    return undefined;
  });
}

/**
 * Holds the recovered balance against the manifest's. Coins that were spent after the manifest was written are no loss: what the wallet had at
 * the manifest's height counts as well.
 *
 * @returns undefined when they agree, and the balance that was found when it is too low
 */
export async function missingFunds(work: GateWork, manifest: Manifest, window: number): Promise<number | undefined> {
  const { confirmedBalance, blockHeight } = manifest.lightning;
  let found = 0;
  for (let looks = 0; looks < 10; looks++) {
    found = await waitFor(work, { what: "lnd's balance", within: work.host.waits.answer, window, unit: unopenedUnit }, () => work.lnd.confirmedBalance());
    if (found >= confirmedBalance || (await work.lnd.balanceAt(blockHeight)) >= confirmedBalance) return undefined;
    await work.host.pause(work.host.waits.poll);
  }
  return found;
}

/** Gives channel.backup to lnd, which then asks each peer to close its channel. */
export async function importChannels(work: GateWork, channelBackup: Buffer, window: number): Promise<void> {
  await waitFor(work, { what: "lnd to be in step with the chain", within: work.host.waits.chain, window, unit: unopenedUnit }, async () => {
    if ((await work.lnd.state()) === "SERVER_ACTIVE") return true;
    const { blockHeight, synced } = await work.lnd.info();
    if (!synced) await work.say({ state: "waiting-for-chain", phase: `lnd is not in step with the chain, which is at height ${blockHeight} (it wants a block of the last two hours)` });
    return undefined;
  });
  await work.say({ state: "working", phase: "importing channel.backup" });
  await work.lnd.restoreChannels(channelBackup);
}
