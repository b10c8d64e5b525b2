import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { isScalar, parseDocument } from "yaml";
import { knownCertificatesFile, knownCertificatesSchema } from "../components/secrets/knownCertificates.js";
import { tunnelMade } from "../config/stateMarks.js";
import { filesOf } from "../config/project.js";
import { resolveFiles } from "../config/specify.js";
import { readMarks, readVersions, writeMarks, writeVersions } from "../custody/records.js";
import { anyIdentitySchema, publicIdentityIn } from "../formats/identity.js";
import type { Roots } from "../formats/roots.js";
import { parseFormat } from "../formats/versioned.js";
import { identityPath, recordsFolder, stackFile, type Places } from "./places.js";
import { stackKeys } from "./prepare.js";
import { isPlaceholder, roles, type Role } from "./stackFile.js";
import { pathFor, type NodeFiles } from "./wallet.js";

/** A node of the stack file, and what the deposit has of it. */
export interface FoundNode {
  readonly files: NodeFiles;
  readonly roots: Roots;
  /** Of the export. */
  readonly file: string;
}

/** A file that is written where there is none. */
export interface PlannedFile {
  /** Relative to the project, or absolute. */
  readonly path: string;
  readonly content: string;
  readonly mode: number;
}

/**
 * The files that nodes had beside their state, where they are missing: identities, the store's password, the wallet identity when it is behind a passphrase or a plugin, certificates that clients have pinned.
 *
 * @throws naming every file that is there and holds something else: none is ever overwritten
 */
export function plannedFiles(places: Places, nodes: readonly FoundNode[]): PlannedFile[] {
  const planned = new Map<string, PlannedFile>();
  const differing: string[] = [];
  const plan = (path: string, content: string, mode: number, isSame: (there: string) => boolean): void => {
    const whole = resolve(places.project, path);
    const there = existsSync(whole) ? readFileSync(whole, "utf8") : planned.get(whole)?.content;
    if (there === undefined) planned.set(whole, { path, content, mode });
    else if (!isSame(there)) differing.push(path);
  };
  for (const { files, roots } of nodes) {
    for (const identity of roots.identities) {
      const which = identity.kind === "lnd-seed" ? { kind: identity.kind } : { kind: identity.kind, name: identity.name };
      plan(pathFor(files, which).path, json(identity), 0o644, (there) => publicIdentityIn(parseFormat(anyIdentitySchema, "identity file", there)) === publicIdentityIn(identity));
    }
    plan(passwordFile(places, files.name), `${roots.storePassword}\n`, 0o600, (there) => there.trim() === roots.storePassword);
    if (roots.walletIdentity !== undefined) plan(relative(places.project, identityPath(places, "wallet")), roots.walletIdentity, 0o600, (there) => there === roots.walletIdentity);
  }
  if (differing.length > 0) {
    throw new Error(`${[...new Set(differing)].join(", ")} ${differing.length === 1 ? "is" : "are"} there and hold${differing.length === 1 ? "s" : ""} something else than the export. Nothing was written: move what is wrong away, and run this again.`);
  }
  return [...planned.values()];
}

/** Where a node's stack file has the store's password; a rehearsal's store file may be gone, and has it where all of them do. */
function passwordFile(places: Places, node: string): string {
  const keys = resolveFiles(stackKeys(places), filesOf(places.project), []);
  const found: unknown = Object(Object(Object(keys["nodes"])[node]).backup).passwordFile;
  return typeof found === "string" ? found : join(".holdfast", places.environment, "store-password");
}

/** Writes files where they are missing, each whole or not at all. */
export function writeFiles({ project }: Places, files: readonly PlannedFile[]): void {
  for (const { path, content, mode } of files) write(resolve(project, path), content, mode);
}

/** Leaves the certificates that clients have pinned where the next update looks for them. */
export function writeCertificates(places: Places, nodes: readonly FoundNode[]): void {
  const file = join(places.project, knownCertificatesFile(places.environment));
  const there = existsSync(file) ? parseFormat(knownCertificatesSchema, file, readFileSync(file, "utf8")) : {};
  const found = Object.fromEntries(nodes.flatMap(({ roots }) => Object.entries(roots.certificates).map(([name, pem]) => [`${roots.place.node}/${name}`, pem])));
  write(file, json({ ...there, ...found }), 0o644);
}

/** What the deposit knows of versions and marks takes its place in the environment's records: nothing newer was ever delivered. */
export function writeRecords(places: Places, nodes: readonly FoundNode[], made: Readonly<Record<string, string>>): void {
  const records = recordsFolder(places);
  const versions = readVersions(records);
  writeVersions(records, { ...versions, nodes: { ...versions.nodes, ...Object.fromEntries(nodes.map(({ roots }) => [roots.place.node, roots.versions.nodes[roots.place.node] ?? {}])) } });
  const marks = readMarks(records);
  const states = { ...marks.states, ...Object.assign({}, ...nodes.map(({ roots }) => roots.marks.states ?? {})) as Record<string, string> };
  writeMarks(records, {
    ...marks,
    tunnels: { ...marks.tunnels, ...Object.assign({}, ...nodes.map(({ roots }) => roots.marks.tunnels)) as Record<string, string> },
    ...(Object.keys(states).length > 0 && { states }),
    made: {
      ...Object.assign({}, ...nodes.map(({ roots }) => roots.marks.made)) as Record<string, string>, ...marks.made, ...made,
      ...Object.fromEntries(nodes.map(({ roots }) => [tunnelMade(roots.place.node), roots.sealed])),
    },
  });
}

/**
 * The stack file's text with these recipients, and without the salt of a passphrase that is gone. Comments stay.
 *
 * @returns the recipients' own file too, where the stack takes them from one
 * @throws when the stack file names another recovery or wallet recipient than the export does
 */
export function withRecipients(text: string, recipients: Readonly<Record<Role, string>>): { readonly text: string; readonly file?: string } {
  const unsalted = text.replace(/^encryptionsalt:.*\n?/m, "");
  const document = parseDocument(unsalted);
  const at = (key: string): string[] => ["config", "holdfast:recipients", key];
  const file = document.getIn(at("file"));
  if (typeof file === "string") return { text: unsalted, file };
  const places = roles.flatMap((role) => {
    const node = document.getIn(at(role), true);
    if (!isScalar(node) || !node.range) throw new Error(`holdfast:recipients.${role} of the stack file is missing. Write it there: ${role}: ${recipients[role]}`);
    if (role !== "environment" && node.value !== recipients[role] && !isPlaceholder(node.value)) {
      throw new Error(`The export is of an environment whose ${role} recipient is ${recipients[role]}, and the stack file names ${String(node.value)}. Put the right one there, from the commit that the recovery kit names.`);
    }
    return [{ from: node.range[0], to: node.range[1], value: recipients[role] }];
  });
  return { text: places.sort((one, other) => other.from - one.from).reduce((whole, { from, to, value }) => whole.slice(0, from) + value + whole.slice(to), unsalted) };
}

/** Writes recipients into the stack file, or into the file that it takes them from. */
export function writeRecipients(places: Places, recipients: Readonly<Record<Role, string>>): void {
  const path = stackFile(places);
  const before = readFileSync(path, "utf8");
  const { text, file } = withRecipients(before, recipients);
  if (file !== undefined) write(resolve(places.project, file), json(recipients), 0o644);
  if (text !== before) write(path, text, 0o644);
}

const json = (value: unknown): string => `${JSON.stringify(value, undefined, 2)}\n`;

function write(path: string, content: string, mode: number): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  writeFileSync(`${path}.${process.pid}.part`, content, { mode, flush: true });
  renameSync(`${path}.${process.pid}.part`, path);
}
