import { existsSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { recorded } from "../../custody/audit/log.js";
import { openNewestDeposit } from "../../custody/deposit/roots.js";
import { folderStore } from "../../custody/deposit/store.js";
import { passphraseFingerprint } from "../../custody/fingerprint.js";
import { sealedPassphrase } from "../../custody/passphrase.js";
import { readMarks } from "../../custody/records.js";
import { openText } from "../../custody/seal.js";
import { auditLog, recordsFolder, type Places } from "../places.js";
import { notedNodes } from "../marks.js";
import { stackKeys } from "../prepare.js";
import { nodeFiles } from "../wallet.js";
import { depositFolder } from "./facts.js";
import { forgetRequest, recombined, sharesOf, type GivenShares } from "./shares.js";

/** One thing that the recovery identity is to open. */
export interface Proof {
  readonly what: string;
  /** `nothing`: there is none yet. */
  readonly outcome: "opened" | "failed" | "nothing";
  /** For people: how it was proven, or what is wrong. */
  readonly detail: string;
}

/** What a drill found. */
export interface Drilled {
  readonly trustees: readonly string[];
  readonly proofs: readonly Proof[];
  readonly proven: boolean;
}

/**
 * Proves that shares recover the environment, and reveals nothing: the identity is put together in memory, opens what a rebuild begins with, and is gone. So is the one-time identity: what was answered is worth nothing afterwards.
 *
 * @throws when the shares do not give the recovery identity; what it does not open is part of the result
 */
export async function drill(places: Places, given: GivenShares): Promise<Drilled> {
  const told = ({ trustees, proofs }: Drilled): string => `from the shares of ${trustees.join(", ")}: ${proofs.map(({ what, outcome }) => `${what} ${outcome}`).join("; ")}`;
  return recorded(auditLog(places), { action: "escrow-drilled", subject: sharesOf(given), told }, async () => {
    const { identity, trustees } = await recombined(places, given);
    const proofs = [await passphraseProof(places, identity), ...await depositProofs(places, identity)];
    const proven = proofs.every(({ outcome }) => outcome !== "failed") && proofs.some(({ outcome }) => outcome === "opened");
    if (proven) forgetRequest(places);
    return { trustees, proofs, proven };
  });
}

async function passphraseProof(places: Places, identity: string): Promise<Proof> {
  const records = recordsFolder(places);
  const file = sealedPassphrase(records);
  const what = "the stack's passphrase";
  if (!existsSync(file)) return { what, outcome: "nothing", detail: `${file} is not there` };
  const passphrase = await openText(readFileSync(file, "utf8"), identity).catch(() => undefined);
  if (passphrase === undefined) return { what, outcome: "failed", detail: `${file} was sealed for another recovery recipient, or is damaged` };
  const mark = readMarks(records).passphrase;
  if (mark !== undefined && passphraseFingerprint(passphrase.trim()) !== mark) return { what, outcome: "failed", detail: `${file} opens, and holds another passphrase than marks.json names` };
  return { what, outcome: "opened", detail: mark === undefined ? file : `${file}, of the fingerprint in marks.json` };
}

async function depositProofs(places: Places, identity: string): Promise<Proof[]> {
  const records = recordsFolder(places);
  const folder = depositFolder(places);
  const noted = notedNodes(readMarks(records));
  const store = folder === undefined ? undefined : folderStore(resolve(places.project, folder));
  return Promise.all(nodeFiles(places.environment, stackKeys(places)).nodes.map(async ({ name, id }): Promise<Proof> => {
    const what = `the roots of ${name}`;
    if (store === undefined) return { what, outcome: "nothing", detail: "the stack file names no holdfast:deposit.folder" };
    try {
      const found = await openNewestDeposit(store, { environment: places.environment, node: id }, identity);
      if (found !== undefined) return { what, outcome: "opened", detail: `${found.name}, sealed ${found.roots.sealed.slice(0, 19).replace("T", " ")}, ${Object.keys(found.roots.roots).length} roots` };
      // A node that was noted was raised, and had its roots deposited before it started.
      return { what, outcome: noted.includes(id) ? "failed" : "nothing", detail: `${store.where} has none${!noted.includes(id) ? " yet" : ", though the node was raised: is the folder mounted?"}` };
    } catch (error) {
      return { what, outcome: "failed", detail: (error as Error).message };
    }
  }));
}
