import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { identityToRecipient } from "age-encryption";
import { recorded } from "../../custody/audit/log.js";
import type { Disk } from "../../custody/escrow/disk.js";
import { escrowFolder, kitFiles, makeKit, printKit, readKit, settleKit, writeKit } from "../../custody/escrow/kit.js";
import { digestOf } from "../../custody/escrow/recover.js";
import { proveSplit, splitIdentity } from "../../custody/escrow/split.js";
import { requireTrustees, type Trustee } from "../../custody/escrow/trustees.js";
import { identityOf, type AskPassphrase } from "../../custody/identityFile.js";
import { kindOf } from "../../custody/recipients.js";
import type { Kit } from "../../formats/share.js";
import { auditLog, identityPath, recordsFolder, type Places } from "../places.js";
import { rebuildFacts, recoveryRecipient, takenRecipients } from "./facts.js";
import { forgetRequest, recombined, type GivenShares } from "./shares.js";

/** What an operator asks of an escrow. */
export interface EscrowRequest {
  readonly threshold: number;
  readonly trustees: readonly Trustee[];
  /** The recovery identity's file, when it is not the environment's own. */
  readonly identity?: string;
  /** In place of the identity: shares of the split before. */
  readonly given?: GivenShares;
  /** Whether the whole identity stays. */
  readonly whole: "goes" | "stays";
}

export interface EscrowMeans {
  readonly disk: Disk;
  readonly now: () => Date;
  readonly ask: AskPassphrase;
  /** Asked before the whole identity is deleted. */
  readonly agree: (question: string) => Promise<boolean>;
  readonly say: (line: string) => void;
}

/** How an escrow's making ended. `whole`: the identity lies on this machine still. */
export type EscrowEnd = "complete" | "whole";

/**
 * Splits the recovery identity among trustees, and deletes the whole one once the shares are proven to give it back. Whatever stops it, running it again goes on.
 *
 * @throws before anything is written, when what is asked for does not go together
 */
export async function createEscrow(places: Places, request: EscrowRequest, means: EscrowMeans): Promise<EscrowEnd> {
  const records = recordsFolder(places);
  const recipient = recoveryRecipient(places);
  requireTrustees(request.trustees, { threshold: request.threshold, kind: kindOf(recipient), taken: takenRecipients(places) });
  settleKit(records, means.disk);
  const whole = wholeFiles(places, request);
  if (whole.length === 0 && request.given === undefined) {
    requireComplete(places, request, { kit: readKit(records), recipient });
    means.say(`The escrow of ${places.environment} is done already: ${request.threshold} of ${request.trustees.length}, in ${escrowFolder(records)}. No whole recovery identity is on this machine.`);
    return "complete";
  }
  const subject = `${request.threshold} of ${request.trustees.length}: ${request.trustees.map(({ name }) => name).join(", ")}`;
  return recorded(auditLog(places), { action: "escrow-created", subject, told: (end: EscrowEnd) => (end === "complete" ? "no whole identity is left here" : "the whole identity is still here") }, async () => {
    const identity = request.given === undefined ? await wholeIdentity(whole[0]!, recipient, means.ask) : (await recombined(places, request.given)).identity;
    await requireIdentityOf(identity, recipient, places);
    const kit = await provenKit(places, request, recipient);
    if (kit === undefined) await split(places, request, { recipient, identity, means });
    else means.say(`The kit of ${kit.made} was proven when it was written, and is as it was then: going on with it.`);
    if (request.given !== undefined) forgetRequest(places);
    return whole.length === 0 ? "complete" : removeWhole(places, { whole, request, means });
  });
}

/** Every file on this machine that is known to hold the whole identity. */
function wholeFiles(places: Places, { identity, given }: EscrowRequest): readonly string[] {
  if (identity !== undefined && given !== undefined) throw new Error("Give either --identity or --share: the identity is split from one of the two.");
  const usual = identityPath(places, "recovery");
  return [...new Set([...(identity === undefined ? [] : [resolve(identity)]), usual])].filter((file) => existsSync(file));
}

async function wholeIdentity(file: string, recipient: string, ask: AskPassphrase): Promise<string> {
  const identity = await identityOf(file, ask);
  const own = await identityToRecipient(identity);
  if (own !== recipient) throw new Error(`${file} is the identity of ${own}, and holdfast:recipients.recovery names ${recipient}. Give the identity of the latter: --identity FILE.`);
  return identity;
}

async function requireIdentityOf(identity: string, recipient: string, { environment }: Places): Promise<void> {
  const own = await identityToRecipient(identity);
  if (own !== recipient) throw new Error(`These shares are of the recovery identity of ${own}, and holdfast:recipients.recovery of ${environment} names ${recipient}: they are from before a rotation. Split the new identity: --identity FILE.`);
}

const sameTrustees = (kit: Kit, { threshold, trustees }: EscrowRequest): boolean =>
  kit.threshold === threshold && JSON.stringify(kit.trustees.map(({ name, recipient }) => [name, recipient]).sort()) === JSON.stringify(trustees.map(({ name, recipient }) => [name, recipient]).sort());

function requireComplete(places: Places, request: EscrowRequest, { kit, recipient }: { readonly kit: Kit | undefined; readonly recipient: string }): void {
  const missing = `${request.identity ?? identityPath(places, "recovery")} is not there`;
  if (kit === undefined) throw new Error(`${missing}, and ${places.environment} has no kit: nothing can be split. Name the recovery identity's file with --identity.`);
  if (kit.recipient !== recipient) throw new Error(`${missing}, and the kit is of another recovery recipient than holdfast:recipients.recovery names: it is from before a rotation. Name the new identity's file with --identity.`);
  if (sameTrustees(kit, request)) return;
  throw new Error(`${missing}, and the kit is another: ${kit.threshold} of ${kit.trustees.map(({ name }) => name).join(", ")}. For a new split, bring the identity back from ${kit.threshold} shares: \`holdfast escrow request -s ${places.environment}\`, then this command with --share FILE for each.`);
}

/** Holds the digest of the kit that was proven last. The operator's own, where nobody else writes. */
const provenFile = ({ state }: Places): string => join(state, "escrow-proven");

/** The kit that is there, when it is what was asked for and every file of it is as it was when it was proven. */
async function provenKit(places: Places, request: EscrowRequest, recipient: string): Promise<Kit | undefined> {
  const records = recordsFolder(places);
  const kit = readKit(records);
  if (kit === undefined || request.given !== undefined || kit.recipient !== recipient || !sameTrustees(kit, request)) return undefined;
  if (!existsSync(provenFile(places)) || readFileSync(provenFile(places), "utf8").trim() !== digestOf(printKit(kit))) return undefined;
  const isThere = (name: string, text: string): boolean => {
    const path = join(escrowFolder(records), name);
    return existsSync(path) && readFileSync(path, "utf8") === text;
  };
  return [...await kitFiles(kit)].every(([name, text]) => isThere(name, text)) ? kit : undefined;
}

async function split(places: Places, request: EscrowRequest, { recipient, identity, means }: { readonly recipient: string; readonly identity: string; readonly means: EscrowMeans }): Promise<void> {
  const { threshold, trustees } = request;
  const records = recordsFolder(places);
  const before = readKit(records);
  const shares = await splitIdentity(identity, { environment: places.environment, recipient, threshold, trustees: trustees.map(({ name }) => name) });
  await proveSplit(shares, identity);
  const kit = await makeKit(shares, trustees, { ...await rebuildFacts(places), made: means.now().toISOString(), recipient });
  means.disk.write(provenFile(places), `${digestOf(printKit(kit))}\n`, 0o600);
  await writeKit(records, kit, means.disk);
  means.say(`${escrowFolder(records)}: kit.json, and for each trustee a page to print and a file: ${trustees.map(({ name }) => `${name}.html`).join(", ")}`);
  means.say(`Any ${threshold} of the ${trustees.length} give the recovery identity back; proven for ${trustees.length} groups of ${threshold}. Hand every trustee their page, commit the folder, and prove the trustees' side too: holdfast escrow drill -s ${places.environment}`);
  if (threshold === trustees.length) means.say("All shares are needed: one that is lost loses the recovery. More trustees than the threshold would be safer.");
  if (kit.rebuild.commit === "none") means.say("The kit names no commit: the project is not under version control. Without it a rebuild lacks the stack file.");
  else if (kit.rebuild.changed) means.say(`The kit names commit ${kit.rebuild.commit.slice(0, 12)}, and the project has changes that are in none: commit them, and bring them off this machine.`);
  if (before?.recipient === recipient) {
    means.say(`Shares of the split before (${before.split.slice(0, 8)}) still give the same identity. Have them destroyed; if that is not certain: holdfast rotate age recovery -s ${places.environment}, and a new escrow.`);
  }
}

async function removeWhole(places: Places, { whole, request, means }: { readonly whole: readonly string[]; readonly request: EscrowRequest; readonly means: EscrowMeans }): Promise<EscrowEnd> {
  const files = whole.join(" and ");
  if (request.whole === "stays") {
    means.say(`${files} stays, as you said. Whoever reads it opens everything that ${request.threshold} trustees are to guard together: the escrow protects nothing until it is gone.`);
    return "whole";
  }
  if (!await means.agree(`The shares are proven. Delete the whole recovery identity, ${files}?`)) {
    means.say(`${files} is still there, whole. Run the same command again to delete it; --yes does not ask.`);
    return "whole";
  }
  for (const file of [...drafts(places), ...whole]) means.disk.remove(file);
  means.say(`${files} is gone. Copies in snapshots or backups of this disk are yours to find.`);
  return "complete";
}

/** What a making of the identity that was cut short may have left beside it: the same file by another name. */
const drafts = ({ state }: Places): string[] => readdirSync(state).filter((name) => /^recovery\.age-key\.\d+\.part$/.test(name)).map((name) => join(state, name));
