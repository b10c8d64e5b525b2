import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { kitSchema, type Kit, type Share } from "../../formats/share.js";
import { parseFormat } from "../../formats/versioned.js";
import { recordFiles } from "../records.js";
import { sealText } from "../seal.js";
import type { Disk } from "./disk.js";
import { trusteePage } from "./page.js";
import type { Trustee } from "./trustees.js";

const KIT = "kit.json";

/** Where an environment's kit lies. */
export const escrowFolder = (records: string): string => join(records, recordFiles.escrow);
/** A kit that is being written; whole once it has its kit.json, which comes last. */
const newFolder = (records: string): string => `${escrowFolder(records)}.new`;
/** The kit before it, for the moment in which one takes the other's place. */
const oldFolder = (records: string): string => `${escrowFolder(records)}.old`;

/** Seals each share for its trustee, and puts the kit together. */
export async function makeKit(shares: readonly Share[], trustees: readonly Trustee[], about: Pick<Kit, "network" | "made" | "recipient" | "rebuild">): Promise<Kit> {
  const { environment, split, threshold } = shares[0]!;
  const entries: Kit["trustees"] = [];
  for (const [index, { name, recipient }] of trustees.entries()) {
    const share = shares[index]!;
    const sealed = await sealText(JSON.stringify(share), recipient);
    entries.push({ name, recipient, sealed: sealed.endsWith("\n") ? sealed : `${sealed}\n`, digest: share.digest });
  }
  return kitSchema.parse({ format: "holdfast-kit/1", environment, split, threshold, ...about, trustees: entries });
}

/** A kit as kit.json has it. */
export const printKit = (kit: Kit): string => `${JSON.stringify(kit, undefined, 2)}\n`;

/** The files of a kit's folder, in the order in which they are written. Made from the kit alone. */
export async function kitFiles(kit: Kit): Promise<ReadonlyMap<string, string>> {
  const files = new Map<string, string>();
  for (const trustee of kit.trustees) {
    files.set(`${trustee.name}.age`, trustee.sealed);
    files.set(`${trustee.name}.html`, await trusteePage(kit, trustee));
  }
  return files.set(KIT, printKit(kit));
}

/**
 * Writes a kit in place of the one that is there. Whatever stops this leaves the one or the other: see {@link settleKit}.
 *
 * @throws when what lies on the disk afterwards is not what was written
 */
export async function writeKit(records: string, kit: Kit, disk: Disk): Promise<void> {
  const files = await kitFiles(kit);
  const [fresh, old] = [newFolder(records), oldFolder(records)];
  disk.remove(fresh);
  disk.makeFolder(fresh);
  for (const [name, text] of files) disk.write(join(fresh, name), text, 0o644);
  for (const [name, text] of files) {
    if (readFileSync(join(fresh, name), "utf8") !== text) throw new Error(`${join(fresh, name)} was read back as something else than was written. Look at the disk; nothing was replaced or deleted.`);
  }
  disk.remove(old);
  if (existsSync(escrowFolder(records))) disk.rename(escrowFolder(records), old);
  disk.rename(fresh, escrowFolder(records));
  disk.remove(old);
}

/** Ends what a kit's writing left unfinished when it was stopped: the new kit takes its place when it was whole and the old one was out of the way already; otherwise the old one stays. */
export function settleKit(records: string, disk: Disk): void {
  if (!existsSync(dirname(escrowFolder(records)))) return;
  const found = folderInForce(records);
  if (found !== undefined && found !== escrowFolder(records)) disk.rename(found, escrowFolder(records));
  for (const left of [newFolder(records), oldFolder(records)]) if (existsSync(left)) disk.remove(left);
}

const folderInForce = (records: string): string | undefined => [escrowFolder(records), newFolder(records), oldFolder(records)].find((folder) => existsSync(join(folder, KIT)));

/**
 * The kit in an environment's records; none when there never was an escrow. Changes nothing.
 *
 * @throws when it cannot be read
 */
export function readKit(records: string): Kit | undefined {
  const folder = folderInForce(records);
  return folder === undefined ? undefined : parseFormat(kitSchema, join(folder, KIT), readFileSync(join(folder, KIT), "utf8"));
}
