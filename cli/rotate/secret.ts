import { setTimeout as pause } from "node:timers/promises";
import { countedAs, secretsOf, type Versioned } from "../../components/secrets/registry.js";
import type { NodeSpecification } from "../../config/specification.js";
import { readVersions, writeVersions } from "../../custody/records.js";
import { connectionOf } from "../nodes.js";
import { recordsFolder } from "../places.js";
import type { UnitState } from "./hosts.js";
import { audited, requireAgreement, stackNow, type Means } from "./means.js";
import { begin, resumed, walk } from "./phases.js";
import { raised, versionOf } from "./versions.js";

/** One secret of one node, and everything that changes with it. */
export interface Rotatable {
  readonly node: NodeSpecification;
  readonly id: string;
  /** Files that change: its own, and those that share its root or are made from it. */
  readonly files: readonly string[];
  readonly consumers: readonly string[];
  /** What the operator has to know or to do, in the registry's words. */
  readonly rotating: readonly string[];
}

/** What `holdfast rotate secret` was asked for. */
export interface SecretRequest {
  /** A secret's id; all rotatable ones when absent. */
  readonly id?: string;
  /** A node's name; needed when several have the secret. */
  readonly node?: string;
}

const secretsOn = (node: NodeSpecification): readonly Versioned[] => secretsOf(node.services, node.tunnel?.peers ?? [], node.versions);

/** Peers' keys rotate with their peer: holdfast rotate wireguard. */
const ofPeer = (secret: Versioned): boolean => /^wireguard-psk-/.test(secret.id);

const isRotatable = (secret: Versioned): boolean => secret.kind === "derived" && secret.rotation !== "never" && countedAs(secret) === secret.id && !ofPeer(secret);

/** Every secret of a node that can be rotated by itself. */
export function rotatables(node: NodeSpecification): Rotatable[] {
  const all = secretsOn(node);
  return all.filter(isRotatable).map(({ id }) => {
    const together = all.filter((secret) => countedAs(secret) === id);
    return {
      node, id,
      files: together.map(({ file }) => file),
      consumers: [...new Set(together.flatMap(({ consumers }) => consumers))].sort(),
      rotating: [...new Set(together.flatMap(({ rotating }) => rotating ?? []))],
    };
  });
}

/**
 * Which secrets are meant.
 *
 * @throws naming what there is, or what to do instead
 */
export function chosenSecrets(nodes: readonly NodeSpecification[], { id, node }: SecretRequest): Rotatable[] {
  const meant = nodes.filter(({ name }) => node === undefined || name === node);
  if (meant.length === 0) throw new Error(`There is no node ${node}. There are: ${nodes.map(({ name }) => name).join(", ")}.`);
  const all = meant.flatMap(rotatables);
  if (id === undefined) return all;
  const found = all.filter((one) => one.id === id);
  if (found.length > 1) throw new Error(`${found.map((one) => one.node.name).join(" and ")} each have a secret ${id}. Name the node: --node ${found[0]!.node.name}`);
  if (found.length === 1) return found;
  throw new Error(refusalOf(meant.flatMap(secretsOn).find((secret) => secret.id === id), id, [...new Set(all.map((one) => one.id))]));
}

function refusalOf(secret: Versioned | undefined, id: string, known: readonly string[]): string {
  if (secret === undefined) return `There is no secret ${id}. These can be rotated: ${known.join(", ")}.`;
  if (ofPeer(secret)) return `${id} is not rotated by itself. ${secret.rotating ?? ""}`.trim();
  if (secret.rotation === "never") return `${id} is never rotated. ${secret.rotating ?? "Something that exists already is made with it."}`;
  if (secret.kind === "given") return `${id} is not made here. ${secret.rotating ?? ""}`.trim();
  return `${id} goes with ${countedAs(secret)}: holdfast rotate secret ${countedAs(secret)}`;
}

/**
 * What a rotation would do, for people.
 *
 * @param version the one in force
 */
export function secretPreview(chosen: readonly Rotatable[], version: (one: Rotatable) => number): string {
  return chosen.flatMap((one) => [
    `${one.node.name}: ${one.id} goes from version ${version(one)} to ${version(one) + 1}`,
    `  files     ${one.files.join(", ")}`,
    `  restarts  ${one.consumers.join(", ") || "nothing"}`,
    ...one.rotating.map((words) => `  note      ${words}`),
  ]).join("\n");
}

/** Rotates secrets in one update, and proves that what restarted with them is up again. */
export async function rotateSecrets(means: Means, request: SecretRequest): Promise<void> {
  const { state } = means.places;
  const records = recordsFolder(means.places);
  const stack = stackNow(means);
  const chosen = await withUnitsThere(means, chosenSecrets(stack.nodes, request));
  const where = request.node === undefined ? "" : ` -n ${request.node}`;
  const subject = request.id === undefined ? `all secrets${request.node === undefined ? "" : ` of ${request.node}`}` : `secret ${chosen[0]!.node.id}/${request.id}`;
  const command = `holdfast rotate secret ${request.id ?? "--all"}${where} -s ${means.places.environment}`;

  const under = resumed(state, subject);
  const present = (one: Rotatable): number => versionOf(readVersions(records), one.node.id, one.id);
  if (under === undefined) await requireAgreement(means, secretPreview(chosen, present));
  else means.say(`Going on with the rotation of ${subject}, which began ${under.began}.`);
  const facts = (): Record<string, string> => Object.fromEntries(chosen.map((one) => [`${one.node.id}/${one.id}`, String(present(one) + 1)]));
  const rotation = under ?? begin(state, { subject, command, facts: facts() }, "raise", means.now());

  await audited(means, "secret-rotated", subject, () => walk(state, rotation, [
    {
      name: "raise", says: "raising versions",
      work: async () => {
        const versions = Object.entries(rotation.facts).reduce((all, [key, version]) => {
          const [node, id] = key.split("/") as [string, string];
          return raised(all, node, id, Number(version), means.now());
        }, readVersions(records));
        writeVersions(records, versions);
      },
    },
    {
      name: "update", says: "bringing the new secrets",
      work: () => updateTelling(means, chosen).catch((error: Error) => {
        throw new Error(`${error.message}\nA host whose services did not come up with its new secrets puts the former ones back. ${records}/versions.json names the new versions: correct the fault, and \`${command}\` goes on.`, { cause: error });
      }),
    },
    { name: "prove", says: "looking at what restarted", work: () => requireUp(means, chosen) },
  ], means.say));
  means.say(`Rotated: ${chosen.map((one) => `${one.id} of ${one.node.name}`).join(", ")}.`);
}

/** How the consumers of each node are, as far as its host has them: by node's id, then by unit. */
async function consumersNow(means: Means, chosen: readonly Rotatable[]): Promise<ReadonlyMap<string, Readonly<Record<string, UnitState>>>> {
  const stack = stackNow(means);
  const nodes = new Map(chosen.map(({ node }) => [node.id, node]));
  return new Map(await Promise.all([...nodes.values()].map(async (node) => {
    const units = new Set(chosen.filter((one) => one.node.id === node.id).flatMap(({ consumers }) => consumers));
    return [node.id, await means.hosts.units(connectionOf(stack, node), [...units])] as const;
  })));
}

/** With those consumers alone that the hosts have. */
async function withUnitsThere(means: Means, chosen: readonly Rotatable[]): Promise<readonly Rotatable[]> {
  const there = await consumersNow(means, chosen);
  return chosen.map((one) => ({ ...one, consumers: one.consumers.filter((unit) => there.get(one.node.id)![unit] !== undefined) }));
}

/** Updates the hosts, and tells what restarted of what reads the secrets. */
async function updateTelling(means: Means, chosen: readonly Rotatable[]): Promise<void> {
  const before = await consumersNow(means, chosen);
  await means.update();
  const after = await consumersNow(means, chosen);
  for (const [id, units] of after) {
    const restarted = Object.entries(units).filter(([unit, { invocation }]) => before.get(id)?.[unit]?.invocation !== invocation).map(([unit]) => unit).sort();
    means.say(`${chosen.find(({ node }) => node.id === id)!.node.name}: restarted ${restarted.join(", ") || "nothing"}`);
  }
}

/** Milliseconds in which a restarted service has to be up. */
const PATIENCE = 90_000;

async function requireUp(means: Means, chosen: readonly Rotatable[]): Promise<void> {
  const stack = stackNow(means);
  for (const node of stack.nodes.filter(({ id }) => chosen.some((one) => one.node.id === id))) {
    const own = chosen.filter((one) => one.node.id === node.id);
    const connection = connectionOf(stack, node);
    const fault = async (): Promise<string | undefined> => {
      const units = (await consumersNow(means, own)).get(node.id) ?? {};
      const down = Object.entries(units).filter(([, { active }]) => !["active", "inactive"].includes(active)).map(([unit, { active }]) => `${unit} is ${active}`);
      if (down.length > 0) return down.join(", ");
      const { state, reason } = await means.hosts.gate(connection);
      return state === "open" ? undefined : `its gate is ${state}${reason === undefined ? "" : ` (${reason})`}`;
    };
    let found = await fault();
    for (const end = means.now().getTime() + PATIENCE; found !== undefined && means.now().getTime() < end; found = await fault()) await pause(1000);
    if (found !== undefined) throw new Error(`${node.name} has its new secrets, and ${found}. Look at it with \`holdfast ssh ${node.name}\` (journalctl -u …); the same command looks again.`);
  }
}
