import { copyFileSync, existsSync, renameSync, rmSync } from "node:fs";
import { sharedMarks } from "../../config/environments.js";
import { otherEnvironments } from "../../config/project.js";
import { ConfigurationRefused } from "../../config/refusal.js";
import { formOf, recipientOf, writeIdentity, type IdentityForm } from "../../custody/identityFile.js";
import { kindOf, requireOneKind } from "../../custody/recipients.js";
import { newIdentity } from "../../custody/seal.js";
import { identityPath, type Places } from "../places.js";
import { networkOf, rehearsed, stackKeys } from "../prepare.js";
import { roles, type Role } from "../stackFile.js";
import type { Means } from "./means.js";
import { readSetting } from "./settings.js";

/** What `holdfast rotate age` was asked for. */
export interface AgeRequest {
  readonly role: Role;
  /** The environment's identity, when it is not in its usual place. */
  readonly identity?: string;
  /** The wallet identity that goes, when it is not in its usual place. */
  readonly oldIdentity?: string;
  /** Made elsewhere: a file in clear, behind a passphrase, or of a plugin's. */
  readonly newIdentity?: string;
  /** Of an identity that stays elsewhere. */
  readonly recipient?: string;
}

export const recipientPath = (role: Role): ["recipients", Role] => ["recipients", role];

/** The recipient in force. */
export const recipientInForce = (places: Places, role: Role): string => String(readSetting(places, recipientPath(role)));

export const nextIdentity = (places: Places, role: Role): string => `${identityPath(places, role)}.next`;
export const previousIdentity = (places: Places, role: Role): string => `${identityPath(places, role)}.previous`;

/** How the next identity is come by: given, or made in this form. */
export type Source = { readonly from: "given"; readonly recipient: string; readonly file?: string } | { readonly from: "made"; readonly form: Exclude<IdentityForm, "plugin"> };

/**
 * Decides how the next identity is come by, and refuses what cannot be, before anything is made.
 *
 * @throws on a recipient of another kind than the environment's others, on one that is in use, and where nothing tells how the next one is to be kept
 */
export async function sourceOf(means: Means, request: AgeRequest): Promise<Source> {
  const { places } = means;
  const { role } = request;
  const others = roles.filter((one) => one !== role).map((one) => recipientInForce(places, one));
  const given = request.newIdentity === undefined ? request.recipient : await recipientOf(request.newIdentity, means.askFresh);
  if (given !== undefined) {
    if (request.recipient !== undefined && request.recipient !== given) throw new Error(`${request.newIdentity} is the identity of ${given}, and --recipient names ${request.recipient}. Give one of the two.`);
    requireOneKind([...others, given]);
    if (request.newIdentity === undefined && rehearsed(places).length > 0) throw new Error(`${places.environment} is a rehearsal, whose identities lie in ${places.state}. Leave --recipient out, or name the identity's file: --new-identity FILE`);
    if (request.newIdentity !== undefined && role === "wallet" && isMainnet(places) && formOf(request.newIdentity) === "clear") {
      throw new Error(`${request.newIdentity} would leave mainnet's wallet identity in clear on this machine. Seal it behind a passphrase (age --passphrase), or keep it elsewhere and give --recipient.`);
    }
    if (given === recipientInForce(places, role)) throw new Error(`${given} is the ${role} recipient already. Make a new identity (age-keygen), or leave it out to have one made.`);
    const marks = [...others.map((value) => ({ kind: "recipient" as const, path: "holdfast:recipients", value })), { kind: "recipient" as const, path: `the new holdfast:recipients.${role}`, value: given }];
    const findings = sharedMarks({ environment: places.environment, marks, faults: [] }, otherEnvironments(places.project, places.environment));
    if (findings.length > 0) throw new ConfigurationRefused(findings);
    return { from: "given", recipient: given, ...(request.newIdentity !== undefined && { file: request.newIdentity }) };
  }
  requireOneKind(others);
  const file = identityPath(places, role);
  if (!existsSync(file)) {
    if (role === "recovery") return { from: "made", form: "clear" };
    throw new Error(`${file} is not there, so the ${role} identity is kept elsewhere. Make the new one there too, and name it: --recipient age1… or --new-identity FILE`);
  }
  const form = formOf(file);
  if (form === "plugin") throw new Error(`${file} is an age plugin's. Have the plugin make a new identity, and name it: --new-identity FILE`);
  return { from: "made", form: role === "wallet" && isMainnet(places) ? "passphrase" : form };
}

const isMainnet = (places: Places): boolean => networkOf(stackKeys(places)) === "mainnet";

/** Makes the next identity beside the one in force; one that is there is kept. */
export async function ensureNext(means: Means, role: Role, source: Source): Promise<void> {
  const next = nextIdentity(means.places, role);
  if (existsSync(next)) return;
  if (source.from === "given") {
    if (source.file === undefined) return;
    if (existsSync(`${source.file}.pub`)) copyWhole(`${source.file}.pub`, `${next}.pub`);
    return copyWhole(source.file, next);
  }
  const pair = await newIdentity(kindOf(recipientInForce(means.places, role)));
  const keeping = source.form === "clear" ? { form: "clear" } as const : { form: "passphrase", passphrase: await means.askNew(`passphrase of the new ${role} identity`) } as const;
  await writeIdentity(next, pair, keeping);
}

/** The file of the next identity: in its own place before it has taken the other's, or there. */
export const freshIdentity = (places: Places, role: Role): string => (existsSync(nextIdentity(places, role)) ? nextIdentity(places, role) : identityPath(places, role));

/** Puts the next identity in the place of the one in force, which stays as `.previous`. Cut short at any point, it goes on. */
export function takePlace(places: Places, role: Role): void {
  const file = identityPath(places, role);
  for (const end of ["", ".pub"]) {
    const [next, previous] = [`${nextIdentity(places, role)}${end}`, `${previousIdentity(places, role)}${end}`];
    if (!existsSync(next)) continue;
    if (existsSync(`${file}${end}`) && !existsSync(previous)) copyWhole(`${file}${end}`, previous);
    renameSync(next, `${file}${end}`);
  }
}

/** Moves an identity that has no successor on this machine out of the way. */
export function stepAside(places: Places, role: Role): void {
  const file = identityPath(places, role);
  for (const end of ["", ".pub"]) if (existsSync(`${file}${end}`)) renameSync(`${file}${end}`, `${previousIdentity(places, role)}${end}`);
}

export function forgetIdentity(file: string): void {
  for (const end of ["", ".pub"]) rmSync(`${file}${end}`, { force: true });
}

function copyWhole(from: string, to: string): void {
  copyFileSync(from, `${to}.part`);
  renameSync(`${to}.part`, to);
}
