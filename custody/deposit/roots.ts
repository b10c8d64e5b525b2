import { createHash } from "node:crypto";
import { rootsSchema, SENTINEL, type Deposited, type Roots } from "../../formats/roots.js";
import { parseFormat, printFormat } from "../../formats/versioned.js";
import { kindOf } from "../recipients.js";
import { newIdentity, openText, sealText } from "../seal.js";
import { exportName, exportTime, type DepositOwner, type DepositStore } from "./store.js";

/** How many exports of a node are kept. */
export const KEPT = 10;

/** What of the roots does not come from the moment of sealing. */
export type RootsContent = Omit<Roots, "format" | "sentinel" | "sealed">;

/**
 * Seals a node's roots for the recovery recipient, brings them into the store, and proves that they lie there and open.
 *
 * Nobody here holds the recovery identity. So the file is sealed for one more recipient, whose identity exists in this process alone and is gone with it: what is read back from the store
 * is opened with that one, and compared with what went in. This proves that the file is whole, that it is what was meant, and that age opens it. It does not prove that the recovery
 * recipient in the stack file is the one whose identity was split among the trustees: `holdfast escrow drill` opens this very file with k shares.
 *
 * @throws when the store cannot be written, or gives back anything else than what it was given
 */
export async function depositRoots(store: DepositStore, content: RootsContent, now: Date): Promise<Deposited> {
  const owner = ownerOf(content);
  const { recovery } = content.recipients;
  const text = printFormat(rootsSchema, { format: "holdfast-roots/1", sentinel: SENTINEL, ...content, sealed: now.toISOString() });
  const witness = await newIdentity(kindOf(recovery));
  const sealed = await sealText(text, recovery, witness.recipient);
  const name = exportName(await laterThanAll(store, owner, now));
  await store.write(owner, name, sealed);
  const found = await readBack(store, owner, name, witness.identity);
  if (found !== text) {
    throw new Error(`${store.where} gave back something else than what was deposited for ${owner.environment}/${owner.node} (${name}): do not trust it. Look at the disk or the share behind it, or name another folder.`);
  }
  return { file: `${owner.environment}/${owner.node}/${name}`, digest: createHash("sha256").update(sealed).digest("hex") };
}

async function readBack(store: DepositStore, owner: DepositOwner, name: string, identity: string): Promise<string | undefined> {
  const sealed = await store.read(owner, name);
  const opened = await openText(sealed, identity).catch(() => undefined);
  // The sentinel too, as whoever recovers will look for it.
  if (opened !== undefined) parseFormat(rootsSchema, `${name} as it was read back`, opened);
  return opened;
}

/** Names must rise, whatever the clock does: the newest wins. */
async function laterThanAll(store: DepositStore, owner: DepositOwner, now: Date): Promise<Date> {
  const newest = (await store.list(owner)).at(-1);
  return newest === undefined ? now : new Date(Math.max(now.getTime(), exportTime(newest).getTime() + 1));
}

/**
 * Removes the exports of a node that are older than the last ten.
 *
 * @returns the names of those removed
 */
export async function forgetOldDeposits(store: DepositStore, owner: DepositOwner): Promise<string[]> {
  const old = (await store.list(owner)).slice(0, -KEPT);
  for (const name of old) await store.remove(owner, name);
  return old;
}

/** An export that was opened. */
export interface OpenedDeposit {
  readonly name: string;
  readonly roots: Roots;
}

/**
 * Opens the newest export of a node.
 *
 * @param identity the recovery identity
 * @returns undefined when the store has none of this node
 * @throws when it does not open, is damaged, or is another node's
 */
export async function openNewestDeposit(store: DepositStore, owner: DepositOwner, identity: string): Promise<OpenedDeposit | undefined> {
  const names = await store.list(owner);
  const name = names.at(-1);
  if (name === undefined) return undefined;
  const what = `${store.where}/${owner.environment}/${owner.node}/${name}`;
  const before = names.at(-2);
  const remedy = before === undefined ? "There is no older one beside it." : `To take the one before it, ${before}, move this one away: it holds what was true then.`;
  const text = await openText(await store.read(owner, name), identity).catch(() => {
    throw new Error(`${what} does not open with this recovery identity: it is damaged, or sealed for another. ${remedy}`);
  });
  const roots = parseFormat(rootsSchema, what, text);
  const { environment, node } = ownerOf(roots);
  if (environment !== owner.environment || node !== owner.node) {
    throw new Error(`${what} holds the roots of ${environment}/${node}, not of ${owner.environment}/${owner.node}: it lies in the wrong folder. ${remedy}`);
  }
  return { name, roots };
}

/**
 * What is wrong with a node's deposit, in words, or undefined: for `status` and `env check`. Opens nothing and asks no host.
 *
 * @param file what the stack's outputs name, when they are at hand
 */
export async function depositFault(store: DepositStore, owner: DepositOwner, file?: string): Promise<string | undefined> {
  const names = await store.list(owner);
  const remedy = "Bring it back, or deposit again: `holdfast state deposit`.";
  if (names.length === 0) return `${store.where} holds no roots of ${owner.environment}/${owner.node}: should this machine be lost, the node could not be rebuilt. ${remedy}`;
  const name = file?.split("/").at(-1);
  if (name === undefined || names.includes(name)) return undefined;
  return `${store.where} lacks ${file}, the newest roots of ${owner.environment}/${owner.node}; what it has is older. ${remedy}`;
}

const ownerOf = ({ place: { environment, node } }: Pick<Roots, "place">): DepositOwner => ({ environment, node });
