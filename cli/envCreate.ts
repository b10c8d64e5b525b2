import { existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { sharedMarks, type Mark } from "../config/environments.js";
import { otherEnvironments, stackFileKeys } from "../config/project.js";
import { ConfigurationRefused } from "../config/refusal.js";
import { overlap, recipientSchema } from "../config/text.js";
import { recorded } from "../custody/audit/log.js";
import { formOf, recipientOf, writeIdentity, type AskPassphrase, type IdentityForm, type Keeping } from "../custody/identityFile.js";
import { makePassphrase, sealedPassphrase } from "../custody/passphrase.js";
import { requireOneKind, type RecipientKind } from "../custody/recipients.js";
import { newIdentity } from "../custody/seal.js";
import { nameSchema, networks, type Network } from "../formats/place.js";
import { auditLog, identityPath, recordsFolder, stackFile, type Places } from "./places.js";
import { noteAges } from "./keys.js";
import { fillRecipients, isPlaceholder, roles, stackFileText, type Role } from "./stackFile.js";

/** What an environment is to be made with. */
export interface Creation {
  /** Needed for a new stack file; must be that of one which is there. */
  readonly network: Network | undefined;
  readonly kind: RecipientKind;
  /** How the environment's identity is kept: in a file, in one behind a passphrase, or as a plugin's recipient by a token. */
  readonly identity: "file" | "passphrase" | { readonly recipient: string };
  /** Made elsewhere: on a machine without a network, or by a token. */
  readonly walletRecipient: string | undefined;
  /** The first node, in a new stack file. */
  readonly node: string;
  /** Asks for the passphrase that guards the environment's and the recovery identity, and for the wallet identity's. */
  readonly passphrases: { readonly infrastructure: AskPassphrase; readonly wallet: AskPassphrase };
}

/** What was made, and what an operator should know about it. */
export interface Created {
  /** One line each; none when everything was there. */
  readonly made: readonly string[];
  readonly warnings: readonly string[];
}

/** What is known of one role: whose recipient it has, and whether its identity is to be made. */
type Plan = { readonly make: false; readonly recipient: string } | { readonly make: true; readonly form: Exclude<IdentityForm, "plugin"> };

/**
 * Makes what an environment needs before its first node: identities, a sealed passphrase, marks and a stack file. What is there stays; a making that was cut short is completed.
 *
 * @throws before anything is made, when what is asked for does not go together
 */
export async function createEnvironment(places: Places, creation: Creation): Promise<Created> {
  const { environment } = places;
  if (!nameSchema.safeParse(environment).success) throw new Error(`${environment} is no name for an environment: ${nameSchema.safeParse(environment).error?.issues[0]?.message}.`);
  const file = stackFile(places);
  const text = existsSync(file) ? readFileSync(file, "utf8") : undefined;
  const keys = text === undefined ? {} : stackFileKeys(text);
  if (text !== undefined) fillRecipients(text, {});
  const network = requireNetwork(environment, keys["network"], creation.network);
  const plans = { environment: await planOf(places, "environment", { creation, network, keys }), recovery: await planOf(places, "recovery", { creation, network, keys }), wallet: await planOf(places, "wallet", { creation, network, keys }) };
  requireApart(places, plans, creation.kind);
  const records = recordsFolder(places);
  const wanting = !existsSync(sealedPassphrase(records));
  if (wanting && text !== undefined && /^encryptionsalt:/m.test(text)) {
    throw new Error(`${sealedPassphrase(records)} is gone, and Pulumi.${environment}.yaml has an encryptionsalt: the stack was used with the passphrase that was in it. Bring the file back from version control; if nothing was ever deployed, remove the line.`);
  }

  const incomplete = wanting || roles.some((role) => plans[role].make) || text === undefined || roles.some((role) => !isFilled(keys, role));
  if (!incomplete) return { made: [], warnings: warningsOf(places, network) };
  return recorded(auditLog(places), { action: "environment-created", subject: environment }, async () => {
    const keeping = await askedFor(plans, creation, network);
    const made: string[] = [];
    const recipients: Record<Role, string> = { environment: "", recovery: "", wallet: "" };
    for (const role of roles) recipients[role] = await ensure(places, role, plans[role], { kind: creation.kind, keeping: keeping[role], made });
    noteAges(records, Object.fromEntries(roles.map((role) => [role, identityPath(places, role)]).filter(([, path]) => existsSync(path!))));
    if (wanting) {
      await makePassphrase(records, recipients, new Date());
      made.push(`${sealedPassphrase(records)}: a new passphrase, sealed for environment and recovery`);
    }
    if (text === undefined) {
      write(file, newStackFile(places, { network, recipients, node: creation.node }));
      made.push(`${file}: fill in the values that still say REPLACE-ME`);
    } else if (roles.some((role) => !isFilled(keys, role))) {
      write(file, fillRecipients(text, recipients));
      made.push(`${file}: its recipients; the rest is as it was`);
    }
    forgetDrafts(places);
    return { made, warnings: warningsOf(places, network) };
  });
}

function requireNetwork(environment: string, stated: unknown, asked: Network | undefined): Network {
  const found = networks.find((one) => one === stated);
  if (stated !== undefined && found === undefined) throw new Error(`Pulumi.${environment}.yaml: holdfast:network: found ${JSON.stringify(stated)}; wants one of ${networks.join(", ")}.`);
  if (found !== undefined && asked !== undefined && found !== asked) throw new Error(`Pulumi.${environment}.yaml says holdfast:network: ${found}, and --network says ${asked}. An environment never changes its network: choose another name, or leave --network out.`);
  const network = found ?? asked;
  if (network === undefined) throw new Error(`No Pulumi.${environment}.yaml says for which network it is, so this command must: --network ${networks.join("|")}.`);
  return network;
}

const statedIn = (keys: Readonly<Record<string, unknown>>, role: Role): unknown => Object(keys["recipients"])[role];
const isFilled = (keys: Readonly<Record<string, unknown>>, role: Role): boolean => recipientSchema.safeParse(statedIn(keys, role)).success;

async function planOf(places: Places, role: Role, { creation, network, keys }: { readonly creation: Creation; readonly network: Network; readonly keys: Readonly<Record<string, unknown>> }): Promise<Plan> {
  const stated = statedIn(keys, role);
  const setting = `holdfast:recipients.${role}`;
  if (stated !== undefined && !isPlaceholder(stated) && !isFilled(keys, role)) throw new Error(`${setting} of Pulumi.${places.environment}.yaml: ${recipientSchema.safeParse(stated).error?.issues[0]?.message}.`);
  const given = role === "wallet" ? creation.walletRecipient : role === "environment" && typeof creation.identity === "object" ? creation.identity.recipient : undefined;
  const file = identityPath(places, role);
  const held = existsSync(file) ? await recipientOf(file, () => Promise.reject(new Error(`${file}.pub is missing, which says its recipient. Write the recipient there.`))) : undefined;
  const known = [["the one that was given", given], [`the identity in ${file}`, held], [setting, isFilled(keys, role) ? String(stated) : undefined]].filter((one): one is [string, string] => one[1] !== undefined);
  const [first, ...rest] = known;
  const other = rest.find(([, recipient]) => recipient !== first![1]);
  if (first !== undefined && other !== undefined) throw new Error(`The ${role} recipient is not clear: ${first[0]} and ${other[0]} differ (${first[1]}, ${other[1]}). An identity is never overwritten: remove the one that is wrong, or use \`holdfast rotate age\`.`);
  if (role === "wallet" && held !== undefined && network === "mainnet" && formOf(file) === "clear") throw new Error(`${file} would leave mainnet's wallet identity in clear on this machine. Seal it behind a passphrase (age --passphrase), or keep it elsewhere and give --wallet-recipient.`);
  if (first !== undefined) return { make: false, recipient: first[1] };
  const guarded = role === "environment" ? creation.identity === "passphrase" : creation.identity === "passphrase" || (network === "mainnet" && (role === "wallet" || creation.identity !== "file"));
  return { make: true, form: guarded ? "passphrase" : "clear" };
}

/** Refuses kinds that do not mix, and recipients that another environment has. */
function requireApart({ project, environment }: Places, plans: Readonly<Record<Role, Plan>>, kind: RecipientKind): void {
  const known = roles.flatMap((role) => (plans[role].make ? [] : [{ role, recipient: (plans[role] as { readonly recipient: string }).recipient }]));
  const toCome = roles.some((role) => plans[role].make) ? [kind === "hybrid" ? "age1pq1" : "age1"] : [];
  requireOneKind([...known.map(({ recipient }) => recipient), ...toCome]);
  const marks: Mark[] = known.map(({ role, recipient }) => ({ kind: "recipient", path: `holdfast:recipients.${role}`, value: recipient }));
  const findings = sharedMarks({ environment, marks, faults: [] }, otherEnvironments(project, environment));
  if (findings.length > 0) throw new ConfigurationRefused(findings);
}

/** Asks for the passphrases that are needed, before anything is made. */
async function askedFor(plans: Readonly<Record<Role, Plan>>, { passphrases }: Creation, network: Network): Promise<Record<Role, Keeping>> {
  const isGuarded = (role: Role): boolean => { const plan = plans[role]; return plan.make && plan.form === "passphrase"; };
  const infrastructure = isGuarded("environment") || isGuarded("recovery") ? await passphrases.infrastructure("passphrase of the environment and recovery identities") : undefined;
  const wallet = isGuarded("wallet") ? await passphrases.wallet("passphrase of the wallet identity") : undefined;
  if (wallet !== undefined && wallet === infrastructure && network === "mainnet") throw new Error("The wallet identity's passphrase is that of the environment's: whoever has one would have both. Give the wallet one of its own (--wallet-passphrase-file, for a script).");
  const keeping = (role: Role, passphrase: string | undefined): Keeping => (isGuarded(role) && passphrase !== undefined ? { form: "passphrase", passphrase } : { form: "clear" });
  return { environment: keeping("environment", infrastructure), recovery: keeping("recovery", infrastructure), wallet: keeping("wallet", wallet) };
}

async function ensure(places: Places, role: Role, plan: Plan, { kind, keeping, made }: { readonly kind: RecipientKind; readonly keeping: Keeping; readonly made: string[] }): Promise<string> {
  if (!plan.make) return plan.recipient;
  const file = identityPath(places, role);
  const pair = await newIdentity(kind);
  await writeIdentity(file, pair, keeping);
  made.push(`${file}: the ${role} identity, ${keeping.form === "clear" ? "in clear" : "behind its passphrase"}`);
  return pair.recipient;
}

function newStackFile({ project, environment }: Places, { network, recipients, node }: { readonly network: Network; readonly recipients: Readonly<Record<Role, string>>; readonly node: string }): string {
  const taken = otherEnvironments(project, environment).flatMap(({ marks }) => marks.filter(({ kind }) => kind === "tunnel-range").map(({ value }) => value));
  const tunnel = Array.from({ length: 246 }, (_, index) => `10.${index + 10}.0`).find((one) => !taken.some((range) => overlap(range, `${one}.0/24`)));
  if (tunnel === undefined) throw new Error("Every network from 10.10.0.0/24 to 10.255.0.0/24 is taken by another stack. Write the stack file by hand.");
  return stackFileText({ environment, network, recipients, node, tunnel, host: "203.0.113.10", store: "203.0.113.20" });
}

function warningsOf(places: Places, network: Network): string[] {
  const form = (role: Role): IdentityForm | undefined => (existsSync(identityPath(places, role)) ? formOf(identityPath(places, role)) : undefined);
  return [
    ...(network === "mainnet" && form("environment") === "clear" ? [`${identityPath(places, "environment")} is mainnet's environment identity in clear: whoever reads this disk can open the stack's state. Better: --identity passphrase, or an age plugin's recipient.`] : []),
    ...(form("environment") === undefined ? [`The environment's identity is not on this machine yet. Put its file (AGE-PLUGIN-…, as its plugin prints it) at ${identityPath(places, "environment")}, or name it with --identity.`] : []),
    ...(form("recovery") !== undefined ? [`${identityPath(places, "recovery")} is the recovery identity, whole. Split it among trustees, then it goes: holdfast escrow create -s ${places.environment}`] : []),
  ];
}

/** What was left of files that were being written when a making was cut short. */
function forgetDrafts({ state }: Places): void {
  for (const name of readdirSync(state)) if (/\.age-key\.\d+\.part$/.test(name)) rmSync(join(state, name), { force: true });
}

function write(file: string, text: string): void {
  writeFileSync(`${file}.${process.pid}.part`, text, { flush: true });
  renameSync(`${file}.${process.pid}.part`, file);
}
