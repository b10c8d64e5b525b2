import { access } from "node:fs/promises";
import type { Settings } from "../../formats/settings.js";
import { stagedManifest, storeFacts } from "../backup/staging.js";
import type { Store } from "../backup/store.js";
import { readInstalled } from "../secrets/installed.js";
import { readVersions } from "../secrets/versions.js";
import { AdmissionRefusal, waitingAdmission } from "./admission.js";
import type { Facts } from "./decide.js";
import { lndFiles, type GateHost } from "./host.js";
import { readJournal } from "./journal.js";
import { identityFacts } from "./identityFiles.js";
import type { Lnd } from "./lnd.js";

/** An lnd of the identity target gets this long, in milliseconds, to say who it is. */
const RUNNING_ANSWER = 60_000;

/** Reads what a decision stands on. The store comes before the disk: the disk writes first, so its sequence can only be ahead. */
export async function gatherFacts(host: GateHost, settings: Settings, store: Store, lnd: Lnd): Promise<Facts> {
  const running = await runningNode(host, lnd);
  const storeSays = await storeFacts(store);
  return {
    place: settings.place,
    nodePublicKey: settings.lightning.nodePublicKey,
    running,
    store: storeSays,
    admission: await admissionFacts(host, settings),
    disk: {
      wallet: await isThere(lndFiles(host.paths, settings.place.network).wallet),
      journal: await readJournal(host),
      sequence: (await stagedManifest(host))?.sequence,
    },
    files: await identityFacts(host, settings),
    secrets: await secretsFacts(host),
  };
}

async function secretsFacts({ disk, paths: layout }: GateHost): Promise<Facts["secrets"]> {
  return { installed: (await readInstalled({ disk, layout }))?.version, accepted: (await readVersions({ disk, layout })).accepted?.version };
}

async function runningNode(host: GateHost, lnd: Lnd): Promise<string | undefined> {
  const end = host.now().getTime() + Math.min(RUNNING_ANSWER, host.waits.answer);
  while (await host.unitRuns(host.paths.identityTarget)) {
    try {
      return (await lnd.info()).nodePublicKey;
    } catch (error) {
      if (host.now().getTime() >= end) {
        process.stderr.write(`The identity target runs, and lnd does not say who it is: ${(error as Error).message}\n`);
        return undefined;
      }
    }
    await host.pause(host.waits.poll);
  }
  return undefined;
}

async function admissionFacts(host: GateHost, settings: Settings): Promise<Facts["admission"]> {
  try {
    const admission = await waitingAdmission(host, settings);
    return admission === undefined ? { state: "absent" } : { state: "there", nodePublicKey: admission.nodePublicKey };
  } catch (error) {
    if (error instanceof AdmissionRefusal) return { state: "refused", why: error.message };
    throw error;
  }
}

async function isThere(path: string): Promise<"there" | "absent"> {
  try {
    await access(path);
    return "there";
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return "absent";
    throw error;
  }
}
