import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { sharedMarks } from "../config/environments.js";
import { filesOf, marksOfStack, otherEnvironments, stackFileKeys, stackNames } from "../config/project.js";
import type { Finding } from "../config/refusal.js";
import { mixedRecipients, resolveFiles } from "../config/specify.js";
import { recipientSchema } from "../config/text.js";
import { formOf, type IdentityForm } from "../custody/identityFile.js";
import { sealedPassphrase } from "../custody/passphrase.js";
import { kindOf } from "../custody/recipients.js";
import { recordFiles } from "../custody/records.js";
import { identityPath, recordsFolder, stateFolder } from "./places.js";
import { roles, type Role } from "./stackFile.js";

/** How one environment's keys stand, from what can be seen without unlocking anything. */
export interface EnvironmentState {
  readonly environment: string;
  readonly network: string;
  /** Of its recipients; unknown while none is filled in. */
  readonly kind: "classical" | "hybrid" | "unknown";
  /** Where each identity is, as far as this machine knows. */
  readonly identities: Readonly<Record<Role, IdentityForm | "elsewhere" | "none yet">>;
  readonly passphrase: "sealed" | "none yet";
  /** What is wrong, and must be put right. */
  readonly findings: readonly Finding[];
  /** What an operator should know. */
  readonly notes: readonly string[];
}

/** Holds every stack of the project against all others. Unlocks nothing, changes nothing. */
export const checkEnvironments = (project: string): EnvironmentState[] => stackNames(project).map((environment) => stateOf(project, environment));

function stateOf(project: string, environment: string): EnvironmentState {
  const own = marksOfStack(project, environment);
  const findings = sharedMarks(own, otherEnvironments(project, environment));
  if (own.faults.some(({ path }) => path === `Pulumi.${environment}.yaml`)) {
    return { environment, network: "unknown", kind: "unknown", identities: { environment: "none yet", recovery: "none yet", wallet: "none yet" }, passphrase: "none yet", findings, notes: [] };
  }
  const text = readFileSync(join(project, `Pulumi.${environment}.yaml`), "utf8");
  const keys = resolveFiles(stackFileKeys(text), filesOf(project), []);
  const network = String(keys["network"]);
  const recipients = Object.fromEntries(Object.entries(Object(keys["recipients"])).filter((one): one is [string, string] => recipientSchema.safeParse(one[1]).success));
  findings.push(...mixedRecipients(recipients));

  const state = stateFolder(project, environment);
  const fileOf = (role: Role): string => identityPath({ state }, role);
  const placeOf = (role: Role): IdentityForm | "elsewhere" | "none yet" => (existsSync(fileOf(role)) ? formOf(fileOf(role)) : recipients[role] === undefined ? "none yet" : "elsewhere");
  const identities = { environment: placeOf("environment"), recovery: placeOf("recovery"), wallet: placeOf("wallet") };
  if (network === "mainnet" && identities.wallet === "clear") {
    findings.push({ path: fileOf("wallet"), found: "mainnet's wallet identity in clear", wanted: "wants to be behind a passphrase (age --passphrase), or on another machine" });
  }
  const records = recordsFolder({ project, environment });
  const rehearsal = Object(stackFileKeys(text)["recipients"]).file !== undefined;
  const unfilled = text.split("\n").filter((line) => /^[^#]*REPLACE-ME/.test(line)).length;
  const notes = [
    ...(unfilled > 0 ? [`Pulumi.${environment}.yaml has ${unfilled} values that still say REPLACE-ME.`] : []),
    ...roles.filter((role) => identities[role] === "clear" && !rehearsal).map((role) => `${fileOf(role)} is in clear.`),
    ...(["clear", "passphrase"].includes(identities.recovery) && !rehearsal
      ? [`The recovery identity still lies whole in ${fileOf("recovery")}${existsSync(join(records, recordFiles.escrow)) ? ", though there is an escrow: `holdfast escrow create`, run again, goes on where it stopped and removes it." : ": `holdfast escrow create` splits it among trustees."}`] : []),
    ...(rehearsal ? ["A rehearsal: its keys guard worthless coins, and all lie on this machine in clear."] : []),
  ];
  const [known] = Object.values(recipients);
  return { environment, network, kind: known === undefined ? "unknown" : kindOf(known), identities, passphrase: existsSync(sealedPassphrase(records)) ? "sealed" : "none yet", findings, notes };
}
