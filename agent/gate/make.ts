import { readFile, rm } from "node:fs/promises";
import type { Manifest } from "../../formats/manifest.js";
import { readIfThere } from "../files.js";
import { fetchBackup, highestSecrets, manifestOf, sendBackup, type Backup } from "../backup/staging.js";
import { StoreFailure, type Store } from "../backup/store.js";
import { waitingAdmission } from "./admission.js";
import type { Decision, Facts } from "./decide.js";
import { lndFiles, unopenedUnit } from "./host.js";
import { phases, writeJournal, type Phase } from "./journal.js";
import {
  chainReaches, createWallet, FRESH_WINDOW, GateStop, hasChannels, importChannels, LARGEST_WINDOW, missingFunds, recoverFunds, requireNodeId, resumeWallet, windowFor, type GateWork,
} from "./wallet.js";

type Making = Extract<Decision, { kind: "fresh" | "restore" }>;

/**
 * Makes the wallet, or restores it, and sends this host's first manifest off-site: all that comes before opening. Each phase is in the journal before
 * it is begun, so a killed gate goes on where it was. The seed is deleted when the wallet is known to be whole.
 */
export async function makeNode(work: GateWork, store: Store, facts: Facts, decision: Making): Promise<"made" | "waiting-for-identity"> {
  const { host, settings } = work;
  const { place } = settings;
  const restored = decision.kind === "restore" ? await backupAsDecided(work, store, decision.manifest) : undefined;
  const before = decision.resume === undefined ? undefined : facts.disk.journal;
  let window = before?.recoveryWindow ?? (restored === undefined ? FRESH_WINDOW : windowFor(restored.manifest.lightning));
  let phase: Phase = before?.phase ?? "creating";
  const enter = async (next: Phase): Promise<void> => {
    await writeJournal(host, { place, nodePublicKey: settings.lightning.nodePublicKey, decision: decision.kind, phase: next, recoveryWindow: window });
    phase = next;
  };
  const passed = (one: Phase): boolean => phases.indexOf(phase) > phases.indexOf(one);
  /** @returns whether there was a seed to make it from */
  const create = async (): Promise<"made" | "waiting-for-identity"> => {
    const admission = await waitingAdmission(host, settings);
    if (admission === undefined) {
      await work.say({ state: "waiting-for-identity", phase: `waiting for the one-use bundle: the wallet must be made again, ${window} addresses ahead` });
      return "waiting-for-identity";
    }
    await enter("creating");
    await createWallet(work, admission, window);
    // A development chain lets lnd begin before the backend has the blocks in which the funds are: then it must look again.
    if (restored !== undefined && (await chainReaches(work, restored.manifest.lightning.blockHeight, window)) === "waited") await createWallet(work, admission, window);
    await enter("recovering");
    return "made";
  };

  if (phase === "creating") {
    if ((await create()) === "waiting-for-identity") return "waiting-for-identity";
  } else await resumeWallet(work, window);

  while (!passed("recovering")) {
    await recoverFunds(work, window);
    const found = restored && (await missingFunds(work, restored.manifest, window));
    if (found === undefined) await enter("importing");
    else if (window < LARGEST_WINDOW) {
      // Nothing was imported or opened yet, so the wallet may be made once more.
      window = LARGEST_WINDOW;
      if ((await create()) === "waiting-for-identity") return "waiting-for-identity";
    } else {
      throw new GateStop(`The restored wallet holds ${found} sat, and the manifest of ${restored!.manifest.written} says ${restored!.manifest.lightning.confirmedBalance} sat at height ${restored!.manifest.lightning.blockHeight}.`,
        `Nothing was opened or imported. See that the chain backend is on the right chain and has all blocks up to that height (a wrong peer, a fork), then: systemctl restart holdfast-gate.service`);
    }
  }
  await rm(host.paths.admission, { force: true });

  if (!passed("importing")) {
    if (restored !== undefined && hasChannels(restored.manifest, restored.channelBackup)) await importChannels(work, restored.channelBackup, window);
    await enter("sending");
  }
  if (!passed("sending")) {
    await sendFirst(work, store, facts, { restored, window });
    await enter("opened");
  }
  return "made";
}

/** The backup that the decision was made on: not one that changed since. */
async function backupAsDecided({ host }: GateWork, store: Store, decided: Manifest): Promise<Backup> {
  const backup = await fetchBackup(host, store);
  const { lightning, sequence } = backup.manifest;
  if (lightning.nodePublicKey !== decided.lightning.nodePublicKey || sequence !== decided.sequence)
    throw new GateStop(`While the gate looked, manifest ${decided.sequence} in the store was followed by ${sequence} of node ${lightning.nodePublicKey}: another host writes there.`,
      "Find out which host runs this node and switch the wrong one off; then: systemctl restart holdfast-gate.service");
  return backup;
}

/** This host's first manifest. A restored channel.backup goes back as it came: lnd's own file gets its channels only when it stops. */
async function sendFirst(work: GateWork, store: Store, facts: Facts, { restored, window }: { readonly restored: Backup | undefined; readonly window: number }): Promise<void> {
  const { host, settings, lnd } = work;
  await requireNodeId(work, { window, unit: unopenedUnit });
  const path = lndFiles(host.paths, settings.place.network).channelBackup;
  const channelBackup = restored?.channelBackup ?? ((await readIfThere(path)) === undefined ? Buffer.alloc(0) : await readFile(path));
  const addresses = await lnd.addresses();
  const known = restored?.manifest.lightning;
  const manifest = manifestOf(settings.place, Math.max(restored?.manifest.sequence ?? -1, facts.disk.sequence ?? -1) + 1, {
    nodePublicKey: settings.lightning.nodePublicKey,
    confirmedBalance: await lnd.confirmedBalance(),
    addresses: { external: Math.max(addresses.external, known?.addresses.external ?? 0), internal: Math.max(addresses.internal, known?.addresses.internal ?? 0) },
    channels: known?.channels ?? (channelBackup.length === 0 ? 0 : await lnd.channelsIn(channelBackup)),
    blockHeight: (await lnd.info()).blockHeight,
  }, host.now(), await highestSecrets(host, restored?.manifest));
  await work.say({ state: "working", phase: "sending the first backup off-site" });
  try {
    await sendBackup(host, store, { manifest, channelBackup });
  } catch (error) {
    if (restored !== undefined || !(error instanceof StoreFailure) || error.trouble !== "absent") throw error;
    await store.init();
    await sendBackup(host, store, { manifest, channelBackup });
  }
}
