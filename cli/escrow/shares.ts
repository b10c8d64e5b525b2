import { existsSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { record, recorded } from "../../custody/audit/log.js";
import { readKit } from "../../custody/escrow/kit.js";
import { recoverIdentity, type Recovered } from "../../custody/escrow/recover.js";
import { shareIn, type Opener } from "../../custody/escrow/sealedShare.js";
import { openerOf, recipientOf, writeIdentity, type AskPassphrase } from "../../custody/identityFile.js";
import { brief, kindOf } from "../../custody/recipients.js";
import { newIdentity } from "../../custody/seal.js";
import type { Kit, Share } from "../../formats/share.js";
import { auditLog, recordsFolder, type Places } from "../places.js";
import { contentOf, knownRecipients } from "./facts.js";

/** What somebody who recovers has at hand. */
export interface GivenShares {
  /** Files, each with one share: sealed for a one-time identity or one of those below, or in clear. */
  readonly shares: readonly string[];
  /** Identity files beside the one-time identity of `holdfast escrow request`. */
  readonly identities: readonly string[];
  readonly ask: AskPassphrase;
}

/** The one-time identity for which trustees seal their shares: with their answers it opens everything, so it goes when it has served. */
const requestFile = ({ state }: Places): string => join(state, "escrow-request.age-key");

/** The recovery identity from shares, with a line in the audit log. */
export async function recoverFromFiles(places: Places, given: GivenShares): Promise<Recovered> {
  return recorded(auditLog(places), { action: "escrow-recovered", subject: sharesOf(given), told: ({ trustees }) => `from the shares of ${trustees.join(", ")}` }, () => recombined(places, given));
}

/** In words, for the audit log. */
export const sharesOf = ({ shares }: GivenShares): string => `${shares.length} ${shares.length === 1 ? "share" : "shares"}`;

/** The recovery identity from shares. Whoever calls this leaves a line in the audit log. */
export async function recombined(places: Places, given: GivenShares): Promise<Recovered> {
  const kit = readKit(recordsFolder(places));
  const shares = await openShares(places, given, kit);
  const foreign = shares.find(({ environment }) => environment !== places.environment);
  if (foreign !== undefined) throw new Error(`The share of ${foreign.trustee} is of environment ${foreign.environment}, and this is ${places.environment}. Name the other stack with -s ${foreign.environment}, or give the right shares.`);
  return recoverIdentity(shares, kit);
}

async function openShares(places: Places, { shares, identities, ask }: GivenShares, kit: Kit | undefined): Promise<Share[]> {
  const oneTime = requestFile(places);
  const openers = [...(existsSync(oneTime) ? [oneTime] : []), ...identities].map((file) => opener(file, ask));
  const opened: Share[] = [];
  for (const file of shares) opened.push(await shareIn(file, contentOf(resolve(file)), openers, kit));
  return opened;
}

/** A passphrase is asked for when something is to be opened, and once. */
export function opener(file: string, ask: AskPassphrase): Opener {
  let ready: ReturnType<typeof openerOf> | undefined;
  return { name: file, open: async (sealed) => (await (ready ??= openerOf(file, ask)))(sealed) };
}

/** Forgets the one-time identity: answers that were sealed for it are worth nothing from then on. */
export function forgetRequest(places: Places): void {
  rmSync(requestFile(places), { force: true });
  rmSync(`${requestFile(places)}.pub`, { force: true });
}

/** The end of a recipient, as two people read it to each other. */
export const spoken = (recipient: string): string => (recipient.slice(-16).match(/.{4}/g) ?? []).join(" ");

/**
 * Makes a one-time identity, or goes on with the one that is there, and says what trustees are to be told.
 *
 * @returns its recipient, and the message
 */
export async function requestShares(places: Places): Promise<{ readonly recipient: string; readonly message: string }> {
  const file = requestFile(places);
  const kit = readKit(recordsFolder(places));
  if (!existsSync(file)) {
    const recovery = kit?.recipient ?? knownRecipients(places).recovery;
    const made = await newIdentity(recovery === undefined ? "classical" : kindOf(recovery));
    await writeIdentity(file, made, { form: "clear" });
    await record(auditLog(places), { action: "identity-made", subject: "one-time identity of a recovery", outcome: "done", note: brief(made.recipient) });
  }
  const recipient = await recipientOf(file, () => Promise.reject(new Error(`${file} is none of ours. Remove it, and ask again.`)));
  return { recipient, message: messageTo(places, recipient, kit) };
}

function messageTo({ environment }: Places, recipient: string, kit: Kit | undefined): string {
  return [
    `I need your share of environment ${environment}${kit === undefined ? "" : ` (of the kit made ${kit.made.slice(0, 10)})`}. Check with me first, by a number that you had before: this word must end with  ${spoken(recipient)}`,
    "",
    recipient,
    "",
    "Then seal your share for it, and send me what this prints:",
    `  age --decrypt --identity YOUR-IDENTITY-FILE NAME.age | age --armor --recipient ${recipient.length > 100 ? "THE-WORD-ABOVE" : recipient}`,
    "Never send me your identity, nor what age --decrypt prints alone.",
  ].join("\n");
}

/** What there is to ask, and of whom. */
export function whomToAsk({ environment }: Places, kit: Kit | undefined): string[] {
  const steps = (goal: string): string[] => [
    `1. holdfast escrow request -s ${environment}   prints a one-time recipient and the words to send`,
    `2. ${goal}`,
    `3. holdfast escrow drill -s ${environment} --share FILE --share FILE …`,
  ];
  if (kit === undefined) return [`Environment ${environment} has no kit in its records: nothing says who has shares. When you know it:`, ...steps("Send them to the trustees; keep each answer in a file")];
  return [
    `Any ${kit.threshold} of these ${kit.trustees.length}, made ${kit.made.slice(0, 10)}, split ${kit.split.slice(0, 8)}:`,
    ...kit.trustees.map(({ name, recipient }) => `  ${name}  ${brief(recipient)}`),
    ...steps(`Send them to at least ${kit.threshold} trustees, and let them check that it is you; keep each answer in a file`),
  ];
}

