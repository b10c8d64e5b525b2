import { randomBytes } from "node:crypto";
import { copyFileSync, existsSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { passphraseFingerprint } from "../../custody/fingerprint.js";
import { openWith, recipientOf } from "../../custody/identityFile.js";
import { resealPassphrase, sealedPassphrase } from "../../custody/passphrase.js";
import { readMarks, writeMarks } from "../../custody/records.js";
import { sealText } from "../../custody/seal.js";
import { identityPath, recordsFolder, stackFile, type Places } from "../places.js";
import type { Role } from "../stackFile.js";
import { ensureNext, forgetIdentity, freshIdentity, nextIdentity, previousIdentity, recipientInForce, recipientPath, sourceOf, stepAside, takePlace, type AgeRequest, type Source } from "./identities.js";
import { noteEnd, type Underway } from "./journal.js";
import { audited, requireAgreement, type Means } from "./means.js";
import { begin, resumed, walk, type Phase } from "./phases.js";
import { replaceFile, writeSetting } from "./settings.js";
import type { Vault } from "./vault.js";
import { identityFiles, walletPhases } from "./wallet.js";

/** What the rotation of an age identity needs beside the rest. */
export interface AgeMeans extends Means {
  readonly vault: Vault;
  /** Has what follows use this passphrase. */
  readonly usePassphrase: (passphrase: string) => void;
}

const subjectOf = (role: Role): string => `age ${role}`;

const WHAT: Readonly<Record<Role, readonly string[]>> = {
  environment: ["the stack's passphrase becomes another, sealed for the new environment recipient and the recovery recipient", "the stack's state is encrypted anew under it", "copies of the state from before still open with the old passphrase: if it may have leaked, rotate the secrets too (holdfast rotate secret --all)"],
  recovery: ["the stack's passphrase is sealed for the new recovery recipient", "the roots are sealed for it, in a new deposit", "the passphrase itself stays: if the old identity may have leaked, rotate the environment's too", "trustees' shares are of the old identity: a new escrow is due (holdfast escrow create)"],
  wallet: ["every node identity of the stack is sealed for the new wallet recipient", "whoever has the old wallet identity and a copy of an old file still opens that copy: if it may have leaked, move the funds to a new seed"],
};

/** Replaces one of an environment's age identities, and seals anew what it opens. The old one works until the new one has been proven. */
export async function rotateAge(means: AgeMeans, request: AgeRequest): Promise<void> {
  const { places } = means;
  const { role } = request;
  const command = ["holdfast rotate age", role, ...(request.identity === undefined ? [] : [`--identity ${request.identity}`]), ...(request.oldIdentity === undefined ? [] : [`--old-identity ${request.oldIdentity}`]),
    ...(request.newIdentity === undefined ? [] : [`--new-identity ${request.newIdentity}`]), ...(request.recipient === undefined ? [] : [`--recipient ${request.recipient}`]), `-s ${places.environment}`].join(" ");
  const under = resumed(places.state, subjectOf(role));
  const rotation = under ?? await prepared(means, request, command);
  if (under !== undefined) means.say(`Going on with the rotation of the ${role} identity, which began ${under.began}.`);
  const source = sourceIn(rotation);
  const phases = role === "environment" ? environmentPhases(means, request, source) : role === "recovery" ? recoveryPhases(means, request, source) : walletPhases(means, request, source);
  await audited(means, "age-rotated", role, () => walk(places.state, rotation, phases, means.say));
  means.say(`The ${role} recipient of ${places.environment} is ${recipientInForce(places, role)} now.`);
  if (role === "recovery") means.say(`The trustees' shares open what was sealed until now, and nothing later. A new escrow is due: holdfast escrow create -s ${places.environment}`);
}

async function prepared(means: AgeMeans, request: AgeRequest, command: string): Promise<Underway> {
  const { role } = request;
  const sealed = sealedPassphrase(recordsFolder(means.places));
  if (role !== "wallet" && !existsSync(sealed)) throw new Error(`${sealed} is not there: ${means.places.environment} has no sealed passphrase to rotate. Make one first: holdfast env create ${means.places.environment}`);
  const source = await sourceOf(means, request);
  if (role === "environment" && source.from === "given" && source.file === undefined) {
    throw new Error("The new environment identity must be at hand, for the state is proven with it: --new-identity FILE in place of --recipient.");
  }
  await requireAgreement(means, [`${means.places.environment}: the ${role} identity is replaced`, ...WHAT[role].map((line) => `  ${line}`), "  restarts  nothing on any host"].join("\n"));
  const facts: Record<string, string> = source.from === "made" ? { form: source.form } : { recipient: source.recipient, ...(source.file !== undefined && { file: source.file }) };
  return begin(means.places.state, { subject: subjectOf(role), command, facts: { ...facts, old: recipientInForce(means.places, role) } }, "make", means.now());
}

function sourceIn({ facts }: Underway): Source {
  if (facts["recipient"] === undefined) return { from: "made", form: facts["form"] === "passphrase" ? "passphrase" : "clear" };
  return { from: "given", recipient: facts["recipient"], ...(facts["file"] !== undefined && { file: facts["file"] }) };
}

/** Gives up a rotation that has changed nothing yet but files beside those in force. */
export async function abandonAge(means: Means, role: Role): Promise<void> {
  const under = resumed(means.places.state, subjectOf(role));
  if (under === undefined) throw new Error(`No rotation of the ${role} identity is under way: there is nothing to abandon.`);
  if (!["make", "reseal"].includes(under.phase) || (role === "recovery" && under.phase === "reseal")) throw new Error(`The new identity is in force already, or half so. Go on instead: ${under.command}`);
  await audited(means, "age-rotated", `${role}, abandoned`, async () => {
    forgetIdentity(nextIdentity(means.places, role));
    const drafts = role === "wallet" ? identityFiles(means.places).map((path) => `${path}.next`) : role === "environment" ? [nextPassphrase(means.places), keptStackFile(means.places)] : [];
    for (const file of drafts) rmSync(file, { force: true });
  });
  noteEnd(means.places.state, under);
  means.say(`The new ${role} identity is gone; the old one goes on.`);
}

const nextPassphrase = (places: Places): string => join(places.state, "passphrase.age.next");
/** The stack file as it was before Pulumi changed its salt. */
const keptStackFile = (places: Places): string => join(places.state, "rotation.stack.yaml");

const noteMade = (means: Means, ...what: readonly string[]): void => {
  const records = recordsFolder(means.places);
  const marks = readMarks(records);
  writeMarks(records, { ...marks, made: { ...marks.made, ...Object.fromEntries(what.map((one) => [one, means.now().toISOString()])) } });
};

function environmentPhases(means: AgeMeans, { identity }: AgeRequest, source: Source): readonly Phase[] {
  const { places, vault } = means;
  const records = recordsFolder(places);
  const oldPassphrase = async (): Promise<string> => (await openWith(identity ?? identityPath(places, "environment"), readFileSync(sealedPassphrase(records), "utf8"), means.ask)).trim();
  const nextSealed = (): string => (existsSync(nextPassphrase(places)) ? nextPassphrase(places) : sealedPassphrase(records));
  const newPassphrase = async (): Promise<string> => (await openWith(freshIdentity(places, "environment"), readFileSync(nextSealed(), "utf8"), means.askFresh)).trim();
  return [
    {
      name: "make", says: "making the new identity",
      work: async () => {
        await oldPassphrase();
        await ensureNext(means, "environment", source);
        if (!existsSync(nextPassphrase(places))) {
          const recipient = await recipientOf(nextIdentity(places, "environment"), means.askFresh);
          writeWhole(nextPassphrase(places), await sealText(randomBytes(32).toString("base64url"), recipient, recipientInForce(places, "recovery")));
        }
        if (!existsSync(keptStackFile(places))) copyWhole(stackFile(places), keptStackFile(places));
      },
    },
    {
      name: "change", says: "encrypting the state under a new passphrase",
      work: async () => {
        const [old, next] = [await oldPassphrase(), await newPassphrase()];
        means.usePassphrase(old);
        const salt = await vault.salt();
        if (salt === undefined) putSalt(places, undefined);
        else if (vault.opens(salt, next)) putSalt(places, salt);
        else {
          if (!vault.opens(salt, old)) throw new Error(`Neither the passphrase in ${sealedPassphrase(records)} nor the new one opens the state of ${places.environment}. Was the state restored from elsewhere? \`holdfast state restore\` helps.`);
          // A change that was cut short leaves the new salt in the stack file and the old one in the state: with neither passphrase would Pulumi open both.
          if (saltLine(readFileSync(stackFile(places), "utf8")) !== saltLine(readFileSync(keptStackFile(places), "utf8"))) copyWhole(keptStackFile(places), stackFile(places));
          await vault.change(old, next);
        }
        await vault.requireOpen(next);
      },
    },
    {
      name: "commit", says: "putting the new identity in the place of the old",
      work: async () => {
        const passphrase = await newPassphrase();
        const marks = readMarks(records);
        const now = means.now().toISOString();
        writeMarks(records, { ...marks, passphrase: passphraseFingerprint(passphrase), made: { ...marks.made, environment: now, passphrase: now } });
        const recipient = await recipientOf(freshIdentity(places, "environment"), means.askFresh);
        if (existsSync(nextPassphrase(places))) {
          writeWhole(sealedPassphrase(records), readFileSync(nextPassphrase(places), "utf8"), 0o644);
          rmSync(nextPassphrase(places));
        }
        takePlace(places, "environment");
        writeSetting(places, recipientPath("environment"), recipient);
      },
    },
    {
      name: "update", says: "updating the stack with the new passphrase",
      work: async () => {
        means.usePassphrase(await newPassphrase());
        await means.update();
      },
    },
    {
      name: "forget", says: "forgetting the old identity",
      work: async () => {
        forgetIdentity(previousIdentity(places, "environment"));
        rmSync(keptStackFile(places), { force: true });
      },
    },
  ];
}

function recoveryPhases(means: AgeMeans, { identity }: AgeRequest, source: Source): readonly Phase[] {
  const { places } = means;
  const records = recordsFolder(places);
  const recipient = async (): Promise<string> => (source.from === "given" ? source.recipient : recipientOf(freshIdentity(places, "recovery"), means.askFresh));
  return [
    { name: "make", says: "making the new identity", work: () => ensureNext(means, "recovery", source) },
    {
      name: "reseal", says: "sealing the stack's passphrase for the new recovery recipient",
      work: async () => {
        const passphrase = (await openWith(identity ?? identityPath(places, "environment"), readFileSync(sealedPassphrase(records), "utf8"), means.ask)).trim();
        await resealPassphrase(records, passphrase, { environment: recipientInForce(places, "environment"), recovery: await recipient() });
      },
    },
    {
      name: "switch", says: "putting the new identity in the place of the old",
      work: async () => {
        const next = await recipient();
        if (source.from === "given" && source.file === undefined) stepAside(places, "recovery");
        else takePlace(places, "recovery");
        writeSetting(places, recipientPath("recovery"), next);
        noteMade(means, "recovery");
      },
    },
    { name: "update", says: "sealing the roots for the new recovery recipient", work: means.update },
    { name: "forget", says: "forgetting the old identity", work: async () => forgetIdentity(previousIdentity(places, "recovery")) },
  ];
}

const saltLine = (text: string): string | undefined => /^encryptionsalt:.*$/m.exec(text)?.[0];

/** Gives the stack file the state's salt; none where there is no state, so that Pulumi makes one. */
function putSalt(places: Places, salt: string | undefined): void {
  const text = readFileSync(stackFile(places), "utf8");
  if (saltLine(text) === (salt === undefined ? undefined : `encryptionsalt: ${salt}`)) return;
  const without = text.replace(/^encryptionsalt:.*\n?/m, "");
  replaceFile(stackFile(places), salt === undefined ? without : `encryptionsalt: ${salt}\n${without}`);
}

function writeWhole(path: string, text: string, mode = 0o600): void {
  writeFileSync(`${path}.part`, text, { mode, flush: true });
  renameSync(`${path}.part`, path);
}

function copyWhole(from: string, to: string): void {
  copyFileSync(from, `${to}.part`);
  renameSync(`${to}.part`, to);
}
