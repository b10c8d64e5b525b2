import { createHash } from "node:crypto";
import { copyFileSync, existsSync, readFileSync, renameSync, rmSync } from "node:fs";
import { relative, resolve } from "node:path";
import { execa } from "execa";
import { publicKeySchema } from "../../config/text.js";
import { readMarks, writeMarks } from "../../custody/records.js";
import type { Connection } from "../../formats/step.js";
import { connectionOf } from "../nodes.js";
import { recordsFolder, type Places } from "../places.js";
import { noteEnd, type Underway } from "./journal.js";
import { audited, requireAgreement, stackNow, type Means } from "./means.js";
import { begin, resumed, walk } from "./phases.js";
import { readSetting, writeSetting } from "./settings.js";

/** What `holdfast rotate ssh` was asked for. */
export interface SshRequest {
  /** A new key that was made elsewhere, on a hardware token for one: its public half, and what OpenSSH is to log in with. */
  readonly given?: { readonly publicKeyFile: string; readonly identityFile: string };
  /** The public key that goes, when the stack does not tell which one is in use. */
  readonly replaces?: string;
}

const SUBJECT = "ssh";
/** Phases in which the new key is not in use yet. */
const BEFORE_USE: readonly string[] = ["add", "update", "prove"];
const AUTHORIZED = ["access", "authorizedKeys"] as const;
const IDENTITY = ["access", "identityFile"] as const;

/** Type and key, without a comment. */
const bare = (publicKey: string): string => publicKey.trim().split(/\s+/).slice(0, 2).join(" ");

/** As OpenSSH prints it. */
export const fingerprintOf = (publicKey: string): string =>
  `SHA256:${createHash("sha256").update(Buffer.from(bare(publicKey).split(" ")[1] ?? "", "base64")).digest("base64").replace(/=+$/, "")}`;

const authorized = (places: Places): string[] => {
  const keys = readSetting(places, AUTHORIZED);
  if (!Array.isArray(keys)) throw new Error("holdfast:access.authorizedKeys is no list of keys. Correct the stack file.");
  return keys.map(String);
};

const identityFileOf = (places: Places): string | undefined => {
  const file = readSetting(places, IDENTITY);
  return typeof file === "string" ? file : undefined;
};

function readPublicKey(path: string): string {
  if (!existsSync(path)) throw new Error(`There is no public key ${path}. Name the file that ends in .pub.`);
  const key = readFileSync(path, "utf8").trim();
  if (!publicKeySchema.safeParse(key).success) throw new Error(`${path} holds no OpenSSH public key on one line.`);
  return key;
}

/** The key of the stack that goes. */
function keyInUse(places: Places, replaces: string | undefined): string {
  const keys = authorized(places);
  const own = identityFileOf(places);
  const beside = own === undefined ? undefined : `${resolve(places.project, own)}.pub`;
  const wanted = replaces !== undefined ? readPublicKey(resolve(replaces)) : beside !== undefined && existsSync(beside) ? readPublicKey(beside) : keys.length === 1 ? keys[0]! : undefined;
  if (wanted === undefined) throw new Error("holdfast:access.authorizedKeys has several keys, and nothing tells which one is in use. Name the one that goes: --replaces FILE.pub");
  const found = keys.find((key) => bare(key) === bare(wanted));
  if (found === undefined) throw new Error(`${bare(wanted)} is not among holdfast:access.authorizedKeys. Name the key that goes: --replaces FILE.pub`);
  return found;
}

/** The private key that the new one takes the place of, where it lies with the environment's own things. */
function ownKeyFile(places: Places): string | undefined {
  const file = identityFileOf(places);
  const path = file === undefined ? undefined : resolve(places.project, file);
  return path !== undefined && !relative(places.state, path).startsWith("..") ? path : undefined;
}

const command = ({ environment }: Places, { given, replaces }: SshRequest): string => ["holdfast rotate ssh",
  ...(given === undefined ? [] : [`--public-key ${given.publicKeyFile} --identity-file ${given.identityFile}`]), ...(replaces === undefined ? [] : [`--replaces ${replaces}`]), `-s ${environment}`].join(" ");

/** Has all hosts of the environment accept a new access key, proves it at each, and then no longer the old one. */
export async function rotateSsh(means: Means, request: SshRequest): Promise<void> {
  const { places } = means;
  const { state } = places;
  const under = resumed(state, SUBJECT);
  const rotation = under ?? await prepared(means, request);
  if (under !== undefined) means.say(`Going on with the rotation of the SSH key, which began ${under.began}.`);
  const { facts } = rotation;
  const made = facts["file"] === undefined ? undefined : resolve(places.project, facts["file"]);
  const identityFile = facts["identityFile"] ?? `${facts["file"]}.next`;
  if (made !== undefined && BEFORE_USE.includes(rotation.phase)) await makeKey(made, places.environment);
  const fresh = (): string => (made === undefined ? facts["publicKey"]! : readPublicKey(existsSync(`${made}.next.pub`) ? `${made}.next.pub` : `${made}.pub`));
  const old = facts["old"]!;
  // Whoever looks after the environment in between, `holdfast up` for one, may write the list anew: each half begins with it.
  const backTo = BEFORE_USE.includes(rotation.phase) ? "add" : ["drop", "refuse"].includes(rotation.phase) ? "remove" : rotation.phase;

  await audited(means, "ssh-rotated", SUBJECT, () => walk(state, { ...rotation, phase: backTo }, [
    { name: "add", says: "putting the new key beside the old", work: async () => writeSetting(places, AUTHORIZED, [...authorized(places).filter((key) => bare(key) !== bare(fresh())), fresh()]) },
    { name: "update", says: "having the hosts accept the new key beside the old", work: means.update },
    { name: "prove", says: "logging in with the new key alone", work: () => requireLogin(means, identityFile, fresh()) },
    {
      name: "switch", says: "using the new key from now on",
      work: async () => {
        if (made !== undefined) takePlace(made);
        else writeSetting(places, IDENTITY, facts["identityFile"]);
      },
    },
    { name: "remove", says: "taking the old key off the list", work: async () => writeSetting(places, AUTHORIZED, authorized(places).filter((key) => bare(key) !== bare(old))) },
    { name: "drop", says: "having the hosts forget the old key", work: means.update },
    {
      name: "refuse", says: "logging in with each of the two",
      work: async () => {
        await requireLogin(means, identityFileOf(places), fresh());
        await requireRefusal(means, made === undefined ? facts["oldIdentity"] : existing(`${facts["file"]}.previous`, places), old);
      },
    },
    {
      name: "forget", says: "deleting the old key",
      work: async () => {
        if (made !== undefined) for (const name of [`${made}.previous`, `${made}.previous.pub`]) rmSync(name, { force: true });
        const records = recordsFolder(places);
        const marks = readMarks(records);
        writeMarks(records, { ...marks, made: { ...marks.made, ssh: means.now().toISOString() } });
      },
    },
  ], means.say));
  means.say(`The hosts of ${places.environment} accept ${fingerprintOf(fresh())}, and ${fingerprintOf(old)} no more.`);
}

async function prepared(means: Means, request: SshRequest): Promise<Underway> {
  const { places } = means;
  const old = keyInUse(places, request.replaces);
  const own = ownKeyFile(places);
  if (request.given === undefined && own === undefined) {
    throw new Error(`The access key of ${places.environment} is the operator's own. Make a new one (ssh-keygen -t ed25519-sk, or ed25519), and name it: holdfast rotate ssh --public-key FILE.pub --identity-file FILE -s ${places.environment}`);
  }
  const publicKey = request.given === undefined ? undefined : readPublicKey(resolve(request.given.publicKeyFile));
  if (publicKey !== undefined && bare(publicKey) === bare(old)) throw new Error(`${request.given!.publicKeyFile} is the key that is in use already. Name a new one.`);
  const nodes = stackNow(means).nodes.map(({ name }) => name).join(", ");
  await requireAgreement(means, [
    `${places.environment}: ${nodes} get ${publicKey === undefined ? "a new access key" : `the access key ${fingerprintOf(publicKey)}`} in place of ${fingerprintOf(old)}`,
    "  restarts  ssh.service, twice; sessions that are open stay",
    "  note      The old key works until each host has let the new one in.",
  ].join("\n"));
  const oldIdentity = identityFileOf(places);
  const facts: Record<string, string> = request.given === undefined
    ? { old, file: relative(places.project, own!) }
    : { old, publicKey: publicKey!, identityFile: relativeTo(places, request.given.identityFile), ...(oldIdentity !== undefined && { oldIdentity }) };
  return begin(places.state, { subject: SUBJECT, command: command(places, request), facts }, "add", means.now());
}

/** Gives a rotation up whose new key is not in use yet. */
export async function abandonSsh(means: Means): Promise<void> {
  const { places } = means;
  const under = resumed(places.state, SUBJECT);
  if (under === undefined) throw new Error("No rotation of the SSH key is under way: there is nothing to abandon.");
  if (!BEFORE_USE.includes(under.phase)) throw new Error(`The new key has proven itself and is in use. Go on instead: ${under.command}`);
  const next = under.facts["file"] === undefined ? undefined : `${resolve(places.project, under.facts["file"])}.next`;
  const fresh = under.facts["publicKey"] ?? (next !== undefined && existsSync(`${next}.pub`) ? readPublicKey(`${next}.pub`) : undefined);
  await audited(means, "ssh-rotated", `${SUBJECT}, abandoned`, async () => {
    if (fresh !== undefined) writeSetting(places, AUTHORIZED, authorized(places).filter((key) => bare(key) !== bare(fresh)));
    await means.update();
  });
  if (next !== undefined) for (const name of [next, `${next}.pub`]) rmSync(name, { force: true });
  noteEnd(places.state, under);
  means.say("The new key is gone; the old one goes on.");
}

/** A path as the stack file has it: inside the project, relative to it. */
function relativeTo({ project }: Places, path: string): string {
  const whole = resolve(path);
  return relative(project, whole).startsWith("..") ? whole : relative(project, whole);
}

const existing = (file: string, { project }: Places): string | undefined => (existsSync(resolve(project, file)) ? file : undefined);

/** A key pair beside the one in use; one that is there already is kept. */
async function makeKey(file: string, environment: string): Promise<void> {
  const next = `${file}.next`;
  // Its public half is written last by ssh-keygen: without it the pair is half-made.
  if (existsSync(`${next}.pub`)) return;
  rmSync(next, { force: true });
  await execa("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", `holdfast-${environment}`, "-f", next], { timeout: 10_000, stdin: "ignore" });
}

/** Puts the new pair in the place of the old, which stays as `.previous`. Cut short at any point, it goes on. */
function takePlace(file: string): void {
  for (const end of ["", ".pub"]) {
    if (!existsSync(`${file}.next${end}`)) continue;
    if (!existsSync(`${file}.previous${end}`)) copyWhole(`${file}${end}`, `${file}.previous${end}`);
    renameSync(`${file}.next${end}`, `${file}${end}`);
  }
}

function copyWhole(from: string, to: string): void {
  copyFileSync(from, `${to}.part`);
  renameSync(`${to}.part`, to);
}

const connections = (means: Means, identityFile: string | undefined): readonly (readonly [string, Connection])[] => {
  const stack = stackNow(means);
  return stack.nodes.map((node) => {
    const { identityFile: _, ...where } = connectionOf(stack, node);
    return [node.name, { ...where, ...(identityFile !== undefined && { identityFile: identityFile.startsWith("~") ? identityFile : resolve(means.places.project, identityFile) }) }] as const;
  });
};

async function requireLogin(means: Means, identityFile: string | undefined, publicKey: string): Promise<void> {
  for (const [name, connection] of connections(means, identityFile)) {
    const login = await means.hosts.login(connection);
    if (!login.accepted) throw new Error(`${name} does not let the new key in: ${login.reason}. The old one still works. Correct the fault and run the same command again, or give up: holdfast rotate ssh --abandon`);
    if (login.fingerprint !== fingerprintOf(publicKey)) throw new Error(`${name} let ${login.fingerprint} in, and not the new key ${fingerprintOf(publicKey)}. Take the other key out of the agent or the SSH configuration, and run the same command again.`);
  }
}

async function requireRefusal(means: Means, identityFile: string | undefined, old: string): Promise<void> {
  if (identityFile === undefined) return means.say("The old private key is not at hand, so nobody could try it; the hosts' list does not have it any more.");
  for (const [name, connection] of connections(means, identityFile)) {
    const login = await means.hosts.login(connection);
    if (login.accepted && login.fingerprint === fingerprintOf(old)) throw new Error(`${name} still lets the old key in. Run the same command again, and look at who else manages its sshd.`);
  }
}
