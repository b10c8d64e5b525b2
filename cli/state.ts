import type { Command } from "commander";
import { existsSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { identityToRecipient } from "age-encryption";
import { readLog, recorded } from "../custody/audit/log.js";
import { openNewestDeposit } from "../custody/deposit/roots.js";
import { folderStore } from "../custody/deposit/store.js";
import { identityOf, recipientOf, writeIdentity } from "../custody/identityFile.js";
import { makePassphrase } from "../custody/passphrase.js";
import { kindOf } from "../custody/recipients.js";
import { newIdentity } from "../custody/seal.js";
import { agreed } from "./ask.js";
import { forgetRequest, recoverFromFiles } from "./escrow/shares.js";
import { askPassphrase } from "./passphrase.js";
import { auditLog, identityPath, recordsFolder, stackFile, type Places } from "./places.js";
import { stackKeys } from "./prepare.js";
import { plannedFiles, withRecipients, writeCertificates, writeFiles, writeRecipients, writeRecords, type FoundNode } from "./restoredFiles.js";
import { importRoots, requireNoState } from "./restoredStack.js";
import { openStack } from "./session.js";
import { table } from "./table.js";
import { explained } from "./update.js";
import { nodeFiles } from "./wallet.js";

const print = (line: string): void => void process.stdout.write(`${line}\n`);
const note = (line: string): void => void process.stderr.write(`${line}\n`);

interface RestoreOptions {
  readonly stack: string;
  readonly deposit?: string;
  readonly recoveryIdentity?: string;
  readonly share: readonly string[];
  readonly identity: readonly string[];
  readonly passphraseFile?: string;
  readonly yes?: true;
}

/** `holdfast state restore|deposit`. */
export function stateCommands(program: Command, here: (options: { readonly stack: string }) => Places): void {
  const state = program.command("state").description("the stack's state: what to do when it is lost");

  state.command("restore").description("make a stack again whose state and .holdfast folder are lost, from the repository and its sealed roots")
    .option("-s, --stack <name>", "the environment", "dev")
    .option("--deposit <folder>", "where the sealed roots are; what the stack file names unless given")
    .option("--share <file>", "a trustee's answer to `holdfast escrow request`; once for each", listed, [])
    .option("--identity <file>", "an identity that opens shares, beside the one-time identity; may be given several times", listed, [])
    .option("--recovery-identity <file>", "in place of shares: the recovery identity, when it was never split")
    .option("--passphrase-file <path>", "holds the passphrase of an identity file")
    .option("--yes", "do not ask")
    .action(async (options: RestoreOptions) => {
      const places = here(options);
      await restoreState(places, {
        deposit: resolve(options.deposit ?? depositFolder(places)),
        identity: await recoveryIdentity(places, options),
        agree: async () => options.yes === true || agreed("Make the stack again from these?"),
      });
      forgetRequest(places);
    });

  state.command("deposit").description("seal the roots and bring them off-site once more: when what was deposited is gone")
    .option("-s, --stack <name>", "the environment", "dev").action(async (options: { readonly stack: string }) => depositAgain(here(options)));
}

async function recoveryIdentity(places: Places, { recoveryIdentity: file, share, identity, passphraseFile }: RestoreOptions): Promise<string> {
  const ask = askPassphrase(passphraseFile);
  if (file !== undefined) return identityOf(resolve(file), ask);
  if (share.length > 0) return (await recoverFromFiles(places, { shares: share, identities: identity.map((one) => resolve(one)), ask })).identity;
  throw new Error(`Nothing opens the sealed roots yet. Ask the trustees (holdfast escrow request -s ${places.environment}) and give their answers: --share FILE --share FILE …. A recovery identity that was never split: --recovery-identity FILE.`);
}

const listed = (file: string, before: readonly string[]): string[] => [...before, file];

export interface Restoring {
  /** The folder of the store. */
  readonly deposit: string;
  /** The recovery identity, in clear: in this process's memory alone. */
  readonly identity: string;
  /** Asked once everything was found and checked, before anything is written. */
  readonly agree: () => Promise<boolean>;
}

/**
 * Makes a stack again whose state and private folder are lost. Everything is found and checked before anything is written; a run that was cut short is simply run again.
 *
 * @throws when a state is there by which a node lives, when an export is missing, damaged or another's, when a file that is there would have to change
 */
export async function restoreState(places: Places, { deposit, identity, agree }: Restoring): Promise<void> {
  const known = await requireNoState(places, note);
  const nodes = await foundNodes(places, deposit, identity);
  const files = plannedFiles(places, nodes);
  const { recovery, wallet } = nodes[0]!.roots.recipients;
  const stackText = readFileSync(stackFile(places), "utf8");
  withRecipients(stackText, { environment: "one that is still to be made", recovery, wallet });
  const audit = await readLog(auditLog(places), nodes.flatMap(({ roots }) => roots.audit ?? []));

  print(table([["NODE", "ID", "LIGHTNING NODE", "HOST GENERATION", "ROOTS", "SEALED", "EXPORT"], ...nodes.map(({ files: { name, id }, roots, file }) => [
    name, id, roots.identities.find((one) => one.kind === "lnd-seed")?.nodePublicKey ?? "-", String(roots.place.generation), String(Object.keys(roots.roots).length), roots.sealed, file,
  ])]));
  for (const { files: { name }, roots } of nodes) if (roots.name !== name) print(`${roots.place.node} was called ${roots.name} then.`);
  if (/^\s+secure:/m.test(stackText)) print("The stack file has values that the lost passphrase encrypted (secure: …). Set them again afterwards: pulumi config set --secret.");
  if (audit.fault !== undefined) print(`The audit log is not the one that the export saw: ${audit.fault}`);
  print(`Written anew: the environment's identity and passphrase, its records, the stack's state${files.map(({ path }) => `, ${path}`).join("")}.`);
  if (!await agree()) throw new Error("Nothing was written. Agree when asked, or give --yes.");

  await recorded(auditLog(places), { action: "state-restored", subject: nodes.map(({ files: { id } }) => id).join(", ") }, async () => {
    const now = new Date();
    const made = await ensureEnvironmentIdentity(places, recovery);
    const recipients = { environment: made.recipient, recovery, wallet };
    writeRecords(places, nodes, made.isNew ? { environment: now.toISOString() } : {});
    const passphrase = await makePassphrase(recordsFolder(places), recipients, now);
    writeRecipients(places, recipients);
    writeFiles(places, files);
    writeCertificates(places, nodes);
    await importRoots(places, nodes.map(({ roots }) => roots), { known, passphrase, report: note });
  });
  print(`Stack ${places.environment} has its roots again. \`holdfast up -s ${places.environment}\` brings back the rest.`);
}

/** The newest export of every node in the stack file, opened and held against it. */
async function foundNodes(places: Places, deposit: string, identity: string): Promise<FoundNode[]> {
  const { network, nodes } = nodeFiles(places.environment, stackKeys(places));
  const recipient = await identityToRecipient(identity);
  if (!existsSync(deposit)) throw new Error(`There is no folder ${deposit}. Mount what holds the sealed roots, or name another folder with --deposit.`);
  const store = folderStore(deposit);
  return Promise.all(nodes.map(async (files) => {
    const found = await openNewestDeposit(store, { environment: places.environment, node: files.id }, identity);
    if (found === undefined) throw new Error(`${deposit} has no roots of ${places.environment}/${files.id}. Is it the right folder? If ${files.name} was never raised, take it out of the stack file until the others are back.`);
    const { roots, name } = found;
    if (roots.place.network !== network) throw new Error(`The export of ${files.name} is of a node on ${roots.place.network}, and the stack file says ${network}. Use the stack file of the commit that the recovery kit names.`);
    if (roots.recipients.recovery !== recipient) throw new Error(`The export of ${files.name} names another recovery recipient (${roots.recipients.recovery}) than this identity's (${recipient}). It was put together by hand; do not trust it.`);
    return { files, roots, file: name };
  }));
}

async function ensureEnvironmentIdentity(places: Places, recovery: string): Promise<{ readonly recipient: string; readonly isNew: boolean }> {
  const file = identityPath(places, "environment");
  if (existsSync(file)) return { recipient: await recipientOf(file, askPassphrase(undefined)), isNew: false };
  const pair = await newIdentity(kindOf(recovery));
  await writeIdentity(file, pair, { form: "clear" });
  return { recipient: pair.recipient, isNew: true };
}

function depositFolder(places: Places): string {
  const folder: unknown = Object(stackKeys(places)["deposit"]).folder;
  if (typeof folder !== "string") throw new Error(`The stack file of ${places.environment} names no holdfast:deposit.folder. Name the folder with --deposit.`);
  return resolve(places.project, folder);
}

/** Runs the deposit step of every node once more, and nothing else. */
export async function depositAgain(places: Places): Promise<void> {
  const stack = await openStack(places, note);
  const { resources = [] } = (await stack.exportStack()).deployment as { readonly resources?: readonly { readonly urn: string; readonly inputs?: { readonly create?: unknown } }[] };
  const steps = resources.filter(({ inputs }) => inputs?.create === "node dist/steps/deposit.js").map(({ urn }) => urn);
  if (steps.length === 0) throw new Error(`Stack ${places.environment} has deposited nothing yet. Raise its nodes: holdfast up -s ${places.environment}`);
  await explained(() => stack.up({ replace: steps, target: steps, suppressProgress: true, onOutput: (text) => void process.stderr.write(text) }));
  print(`${steps.length} ${steps.length === 1 ? "node's roots are" : "nodes' roots are"} off-site anew.`);
}
