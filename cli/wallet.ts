import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { z } from "zod";
import { pathSchema } from "../config/text.js";
import { record } from "../custody/audit/log.js";
import { makeFileIdentity, makeSeed, type IdentityOwner } from "../custody/wallet/make.js";
import { anyIdentitySchema, publicIdentityIn, type AnyIdentity, type FileIdentityKind, type IdentityFile } from "../formats/identity.js";
import { nameSchema, networks, type Network } from "../formats/place.js";
import { parseFormat } from "../formats/versioned.js";
import { auditLog, type Places } from "./places.js";

/** Which identity is made. */
export type NewIdentity = { readonly kind: "lnd-seed" } | { readonly kind: FileIdentityKind; readonly name: string };

/**
 * Writes a new identity to its file.
 *
 * @throws when the file is there: an identity is never overwritten
 */
export async function createIdentityFile(path: string, owner: IdentityOwner): Promise<IdentityFile>;
export async function createIdentityFile(path: string, owner: IdentityOwner, which: NewIdentity): Promise<AnyIdentity>;
export async function createIdentityFile(path: string, owner: IdentityOwner, which: NewIdentity = { kind: "lnd-seed" }): Promise<AnyIdentity> {
  if (existsSync(path)) throw new Error(`${path} is there already. A node's ${which.kind === "lnd-seed" ? "seed" : which.kind} is never overwritten; move the file away if it is truly unused.`);
  const now = new Date();
  const identity = anyIdentitySchema.parse(which.kind === "lnd-seed" ? await makeSeed(owner, now) : await makeFileIdentity(owner, which, now));
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `${JSON.stringify(identity, undefined, 2)}\n`, { mode: 0o644, flag: "wx" });
  return identity;
}

/** A node of the stack file: where its identities lie, relative to the project. */
export interface NodeFiles {
  readonly name: string;
  readonly id: string;
  readonly identity: string;
  readonly identities: readonly string[];
}

const nodesSchema = z.record(nameSchema, z.looseObject({ id: nameSchema.optional(), identity: pathSchema, identities: z.array(pathSchema).default([]) }));

/**
 * The nodes of a stack file, whose machines need not exist yet.
 *
 * @param keys as they stand in the stack file
 * @throws when their identities are not named as they should be
 */
export function nodeFiles(environment: string, keys: Readonly<Record<string, unknown>>): { readonly network: Network; readonly nodes: readonly NodeFiles[] } {
  const network = networks.find((one) => one === keys["network"]);
  const nodes = nodesSchema.safeParse(keys["nodes"]);
  if (network === undefined || !nodes.success) throw new Error(`The stack file of ${environment} does not say ${network === undefined ? "which network its nodes are on" : "where its nodes' identities lie"}. \`holdfast preview -s ${environment}\` shows all that is missing.`);
  return { network, nodes: Object.entries(nodes.data).map(([name, node]) => ({ name, id: node.id ?? name, identity: node.identity, identities: node.identities })) };
}

/** A node by its name, or by its id. */
export function nodeCalled(nodes: readonly NodeFiles[], called: string): NodeFiles {
  const node = nodes.find(({ name }) => name === called) ?? nodes.find(({ id }) => id === called);
  if (node === undefined) throw new Error(`The stack file has no node ${called}. It has: ${nodes.map(({ name }) => name).join(", ")}.`);
  return node;
}

/** Reads an identity file of a stack. */
export function readIdentityFile(places: Places, path: string): AnyIdentity {
  const whole = resolve(places.project, path);
  if (!existsSync(whole)) throw new Error(`There is no ${path}, which the stack file names as an identity. \`holdfast wallet create\` makes one; one that was made before comes back from version control.`);
  return parseFormat(anyIdentitySchema, path, readFileSync(whole, "utf8"));
}

/**
 * Where a new identity of a node goes: where the stack file says, or for identities that it does not name yet, beside the node's seed.
 *
 * @returns relative to the project; `named` tells whether the stack file has it
 */
export function pathFor(node: NodeFiles, which: NewIdentity): { readonly path: string; readonly named: boolean } {
  if (which.kind === "lnd-seed") return { path: node.identity, named: true };
  const file = `${node.id}.${which.kind}${which.name === "main" ? "" : `.${which.name}`}.json`;
  const named = node.identities.find((path) => basename(path) === file);
  return { path: named ?? join(dirname(node.identity), file), named: named !== undefined };
}

/**
 * Makes an identity of a stack's node, and says so in the audit log.
 *
 * @returns lines for the operator
 */
export async function createIdentity(places: Places, node: NodeFiles, owner: Pick<IdentityOwner, "network" | "recipient">, which: NewIdentity): Promise<readonly string[]> {
  const { path, named } = pathFor(node, which);
  const identity = await createIdentityFile(resolve(places.project, path), { environment: places.environment, node: node.id, ...owner }, which);
  await record(auditLog(places), { action: "identity-made", subject: `${node.id} ${which.kind}${which.kind === "lnd-seed" ? "" : ` ${which.name}`}`, outcome: "done", note: publicIdentityIn(identity) });
  return [
    `${path}: ${which.kind === "lnd-seed" ? "node" : which.kind} ${publicIdentityIn(identity)}, sealed for ${identity.recipient}`,
    ...(named ? [] : [`Add it to the stack file: holdfast:nodes.${node.name}.identities: [${path}]`]),
  ];
}
