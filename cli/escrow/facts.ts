import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, relative, resolve } from "node:path";
import { execa } from "execa";
import { otherEnvironments, filesOf } from "../../config/project.js";
import { resolveFiles } from "../../config/specify.js";
import { recipientSchema } from "../../config/text.js";
import { readMarks } from "../../custody/records.js";
import type { TrusteeRules } from "../../custody/escrow/trustees.js";
import type { Kit } from "../../formats/share.js";
import { PLUGINS, PULUMI_VERSION } from "../../rehearsal/engine/versions.js";
import { recordsFolder, type Places } from "../places.js";
import { networkOf, stackKeys } from "../prepare.js";
import { roles, type Role } from "../stackFile.js";
import { nodeFiles, readIdentityFile } from "../wallet.js";

const keysOf = (places: Places): Record<string, unknown> => resolveFiles(stackKeys(places), filesOf(places.project), []);

/** The stack's recipients, as far as they are filled in and their file is there. */
export function knownRecipients(places: Places): Readonly<Partial<Record<Role, string>>> {
  const stated = Object(keysOf(places)["recipients"]) as Partial<Record<Role, unknown>>;
  return Object.fromEntries(roles.flatMap((role) => (recipientSchema.safeParse(stated[role]).success ? [[role, String(stated[role])]] : [])));
}

/** @throws when the stack names no recovery recipient */
export function recoveryRecipient(places: Places): string {
  const { recovery } = knownRecipients(places);
  if (recovery === undefined) throw new Error(`holdfast:recipients of ${places.environment} names no recovery recipient yet. \`holdfast env create ${places.environment}\` makes one; a rehearsal's is made by \`holdfast up\`.`);
  return recovery;
}

/** Recipients that no trustee may have: the environment's own, and those of every other environment of the project. */
export function takenRecipients(places: Places): TrusteeRules["taken"] {
  return [
    ...Object.entries(knownRecipients(places)).map(([role, recipient]) => ({ recipient: recipient!, whose: `the ${role} recipient of ${places.environment} itself` })),
    ...otherEnvironments(places.project, places.environment).flatMap(({ environment, marks }) =>
      marks.filter(({ kind }) => kind === "recipient").map(({ value, path }) => ({ recipient: value, whose: `environment ${environment}'s (${path})` }))),
  ];
}

/** Where the stack's sealed roots go; nothing when the stack file does not say. */
export function depositFolder(places: Places): string | undefined {
  const folder: unknown = Object(stackKeys(places)["deposit"]).folder;
  return typeof folder === "string" ? folder : undefined;
}

/** What a rebuild needs beside the shares, as it is now. */
export async function rebuildFacts(places: Places): Promise<Pick<Kit, "network" | "rebuild">> {
  return {
    network: networkOf(stackKeys(places)),
    rebuild: { ...await commitOf(places), versions: versions(places), deposit: depositFolder(places) ?? "a folder that the stack file did not name yet", nodes: nodesOf(places) },
  };
}

/** What this command itself writes does not make a tree changed. */
async function commitOf(places: Places): Promise<{ readonly commit: string; readonly changed: boolean }> {
  const git = (...args: readonly string[]) => execa("git", args, { cwd: places.project, reject: false, stdin: "ignore", timeout: 30_000 });
  const head = await git("rev-parse", "--verify", "HEAD");
  if (head.exitCode !== 0) return { commit: "none", changed: true };
  const records = relative(places.project, recordsFolder(places));
  const status = await git("status", "--porcelain", "--", ".", ...(records.startsWith("..") ? [] : [`:(exclude)${records}`]));
  return { commit: head.stdout.trim(), changed: status.exitCode !== 0 || status.stdout.trim() !== "" };
}

function versions({ project }: Places): Record<string, string> {
  const own = join(project, "package.json");
  const { version } = (existsSync(own) ? createRequire(own)(own) : {}) as { readonly version?: string };
  return { ...(version !== undefined && { holdfast: version }), node: process.versions.node, pulumi: PULUMI_VERSION, ...Object.fromEntries(PLUGINS.map((plugin) => [plugin.name, plugin.version])) };
}

/** As far as they are known: an escrow may come before the first identity and the first host. */
function nodesOf(places: Places): Kit["rebuild"]["nodes"] {
  const keys = keysOf(places);
  const { tunnels } = readMarks(recordsFolder(places));
  return Object.fromEntries(nodeFiles(places.environment, keys).nodes.map(({ name, id, identity }) => {
    const node: unknown = Object(keys["nodes"])[name];
    const repository: unknown = Object(Object(node).backup).repository;
    const generation: unknown = Object(Object(Object(node).host).commodity).generation;
    const seed = existsSync(resolve(places.project, identity)) ? readIdentityFile(places, identity) : undefined;
    return [name, {
      id,
      ...(seed?.kind === "lnd-seed" && { nodePublicKey: seed.nodePublicKey }),
      ...(tunnels[id] !== undefined && { tunnelPublicKey: tunnels[id] }),
      ...(typeof repository === "string" && { repository }),
      ...(typeof generation === "number" && { generation }),
    }];
  }));
}

/** The text of a file that a command was given. */
export function contentOf(file: string): Buffer {
  if (!existsSync(file)) throw new Error(`There is no file ${file}.`);
  return readFileSync(file);
}
