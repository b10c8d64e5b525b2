import { createHash } from "node:crypto";
import * as hcloud from "@pulumi/hcloud";
import * as pulumi from "@pulumi/pulumi";
import { ConfigurationRefused } from "../../config/refusal.js";
import type { HetznerSpecification } from "../../config/schema.js";
import { isHetzner, type NodeSpecification, type StackSpecification } from "../../config/specification.js";
import { plainly } from "../plainly.js";
import { existsInHetzner, hetznerEndpoint, liftProtection, listHetzner, protectedKinds, type HetznerAccess } from "./hetznerApi.js";
import { findByLabels, foundNode, GENERATION, hetznerFaults, labelsOf, selectorOf, type FoundNode, type LastSeen, type Listed, type Owner } from "./hetznerFound.js";

/** What an environment has in its Hetzner project, before anything is touched. */
export interface HetznerSight {
  readonly access: HetznerAccess;
  readonly owner: Owner;
  readonly listed: Listed;
  /** By the node's id. */
  readonly nodes: Readonly<Record<string, FoundNode>>;
  /** By the node's id too. */
  readonly last: Readonly<Record<string, LastSeen>>;
  /** Servers that no state will ever know, by the node's id: made for a replacement, whose answer was lost. */
  readonly orphans: Readonly<Record<string, number>>;
}

type HetznerNode = NodeSpecification & { readonly host: HetznerSpecification };

const hetznerNodes = (stack: StackSpecification): HetznerNode[] => stack.nodes.filter((node): node is HetznerNode => isHetzner(node.host));

export const ownerOf = ({ environment, recipients }: Pick<StackSpecification, "environment" | "recipients">): Owner =>
  ({ environment, owner: createHash("sha256").update(recipients.recovery).digest("hex").slice(0, 16) });

/** From the provider's own settings: no token is ever one of ours. */
function accessOf(): HetznerAccess {
  const config = pulumi.runtime.allConfig();
  const token = config["hcloud:token"] ?? process.env["HCLOUD_TOKEN"] ?? "";
  if (token === "") throw new Error("A node has host.hetzner, and there is no token for the project. Make one in Hetzner's console (read and write), then: pulumi config set --secret hcloud:token, or set HCLOUD_TOKEN.");
  return { token, endpoint: (config["hcloud:endpoint"] ?? process.env["HCLOUD_ENDPOINT"] ?? hetznerEndpoint).replace(/\/$/, "") };
}

/**
 * Looks at the project before the stack is made, and refuses one that is not the stack's own. Six requests, however many nodes there are.
 *
 * @returns undefined when no node is Hetzner's
 * @throws ConfigurationRefused; HetznerRefusal when the token is not taken
 */
export async function lookAtHetzner(stack: StackSpecification): Promise<HetznerSight | undefined> {
  const own = hetznerNodes(stack);
  if (own.length === 0) return undefined;
  const [access, owner] = [accessOf(), ownerOf(stack)];
  const listed = await listAll(access, allOf(owner)).catch((error: Error) => plainly(() => { throw error; }));
  const nodes = Object.fromEntries(own.map(({ id }) => [id, foundNode(listed, owner, id)]));
  const seen = await lastSeen();
  const last = Object.fromEntries(own.flatMap(({ id, name }) => (seen[name] === undefined ? [] : [[id, seen[name]]])));
  const foreign = (await Promise.all(own.map((node) => foreignProject(access, node, nodes[node.id]!, last[node.id])))).flat();
  const faults = [...foreign, ...own.flatMap((node) => hetznerFaults(node.name, node.host, nodes[node.id]!))];
  if (faults.length > 0) plainly(() => { throw new ConfigurationRefused(faults); });
  const orphans = await orphansOf(own, nodes, last);
  const known = Object.entries(nodes).map(([id, { server, ...rest }]) => [id, server === undefined || orphans[id] === server.id ? rest : { ...rest, server }]);
  return { access, owner, listed, nodes: Object.fromEntries(known) as HetznerSight["nodes"], last, orphans };
}

/**
 * What was made for a replacement, while the state waits for it with the old server: adopted, it would have Pulumi delete the old one, which is gone, and its provider
 * takes that for an error each time.
 */
async function orphansOf(own: readonly HetznerNode[], nodes: HetznerSight["nodes"], last: HetznerSight["last"]): Promise<Record<string, number>> {
  const suspects = own.flatMap(({ id, host }) => {
    const server = nodes[id]?.server;
    return server !== undefined && (last[id]?.generation ?? host.generation) < host.generation && server.labels[GENERATION] === String(host.generation) ? [{ id, server }] : [];
  });
  if (suspects.length === 0) return {};
  const { outputs } = await pulumi.runtime.invoke("pulumi:pulumi:readStackResourceOutputs", { stackName: stackName() }) as { readonly outputs: Readonly<Record<string, { readonly outputs?: { readonly labels?: Record<string, string> } }>> };
  return Object.fromEntries(suspects.flatMap(({ id, server }) => {
    const [, inState] = Object.entries(outputs).find(([urn]) => urn.endsWith(`::${id}-hetzner-server`)) ?? [];
    const generation = inState?.outputs?.labels?.[GENERATION];
    return generation === undefined || generation === server.labels[GENERATION] ? [] : [[id, server.id]];
  }));
}

const stackName = (): string => `${pulumi.getOrganization()}/${pulumi.getProject()}/${pulumi.getStack()}`;

/** Everything of an environment. */
const allOf = ({ environment, owner }: Owner): string => selectorOf({ "holdfast-environment": environment, "holdfast-owner": owner });

/**
 * Lifts Hetzner's protection of everything that an environment has: what a destroy wants, whose word the caller has. Nothing is deleted.
 *
 * @returns what was protected, in words
 */
export async function releaseEnvironment(access: HetznerAccess, owner: Owner): Promise<string[]> {
  const lifted: string[] = [];
  for (const kind of protectedKinds) {
    for (const { id, name } of (await listHetzner(access, kind, allOf(owner))).filter(({ protection }) => protection.delete)) {
      await liftProtection(access, kind, id);
      lifted.push(`${kind} ${id} (${name})`);
    }
  }
  return lifted;
}

async function listAll(access: HetznerAccess, selector: string): Promise<Listed> {
  const [servers, primary_ips, volumes, firewalls, placement_groups, ssh_keys] = await Promise.all([
    listHetzner(access, "servers", selector), listHetzner(access, "primary_ips", selector), listHetzner(access, "volumes", selector),
    listHetzner(access, "firewalls", selector), listHetzner(access, "placement_groups", selector), listHetzner(access, "ssh_keys"),
  ]);
  return { servers, primary_ips, volumes, firewalls, placement_groups, ssh_keys };
}

/** What the last update that ended left in the stack's outputs, by the node's name. It outlives a refresh that found nothing. */
async function lastSeen(): Promise<Readonly<Record<string, LastSeen>>> {
  const { outputs } = await pulumi.runtime.invoke("pulumi:pulumi:readStackOutputs", { name: stackName() }) as { readonly outputs?: { readonly nodes?: unknown } };
  return Object.fromEntries(Object.entries(Object(outputs?.nodes) as Record<string, unknown>).flatMap(([node, summary]) => {
    const { generation, hetzner } = Object(summary) as { readonly generation?: unknown; readonly hetzner?: unknown };
    const { ipv4, volume } = Object(hetzner) as Partial<LastSeen>;
    return typeof ipv4 === "number" && typeof volume === "number" && typeof generation === "number" ? [[node, { ipv4, volume, generation }]] : [];
  }));
}

/** A project that answers neither for the node's address nor for its volume is not the one where the node is: with its token, everything would be made a second time. */
async function foreignProject(access: HetznerAccess, { name, host }: HetznerNode, found: FoundNode, last: LastSeen | undefined): Promise<{ path: string; found: string; wanted: string }[]> {
  if (last === undefined || found.ipv4?.id === last.ipv4 || found.volume?.id === last.volume || host.lost === last.ipv4) return [];
  if (await existsInHetzner(access, "primary_ips", last.ipv4) || await existsInHetzner(access, "volumes", last.volume)) return [];
  return [{
    path: "hcloud:token", found: `a project without node ${name}'s address (primary IP ${last.ipv4}) and volume (${last.volume})`,
    wanted: `belongs to another project than the last update's; wants a token of that one (nothing was made in this one; with the right token, the next update finds everything by its labels). If it is the right project, and address and volume were deleted there, say so: holdfast:nodes.${name}.host.hetzner.lost: ${last.ipv4}`,
  }];
}

/** What all servers of an environment share: who may log in, a firewall that lets nothing in, and groups. */
export class HetznerProject extends pulumi.ComponentResource {
  readonly access: HetznerAccess;
  readonly owner: Owner;
  /** Ids of the project's SSH keys for the stack's authorised keys. */
  readonly sshKeys: pulumi.Output<string[]>;
  /** Lets nothing in: every server is created behind it. */
  readonly closed: hcloud.Firewall;
  readonly #groups: ReadonlyMap<string, hcloud.PlacementGroup>;
  readonly #sight: HetznerSight;

  constructor(name: string, stack: StackSpecification, sight: HetznerSight, options?: pulumi.ComponentResourceOptions) {
    super("holdfast:host:HetznerProject", name, {}, options);
    const { access, owner, listed } = sight;
    [this.access, this.owner, this.#sight] = [access, owner, sight];
    const adopted = (one: { readonly id: number } | undefined): pulumi.CustomResourceOptions => ({ parent: this, ...(one !== undefined && { import: String(one.id) }) });

    this.sshKeys = pulumi.all(stack.authorizedKeys.map((line) => {
      const publicKey = keyOf(line);
      const found = listed.ssh_keys.find((one) => keyOf(one.public_key) === publicKey);
      const labels = labelsOf(owner, "ssh-key");
      // A project has each key once. One that somebody else has put there is used, and left alone.
      if (found !== undefined && findByLabels([found], labels) === undefined) return pulumi.output(String(found.id));
      const digest = createHash("sha256").update(publicKey).digest("hex").slice(0, 12);
      return new hcloud.SshKey(`${name}-key-${digest}`, { name: `${owner.environment}-${digest}`, publicKey, labels }, adopted(found)).id;
    }));
    const labels = labelsOf(owner, "closed");
    this.closed = new hcloud.Firewall(`${name}-closed`, { name: `${owner.environment}-closed`, rules: [], labels }, adopted(findByLabels(listed.firewalls, labels)));
    const groups = [...new Set(hetznerNodes(stack).flatMap(({ host }) => host.placementGroup ?? []))];
    this.#groups = new Map(groups.map((group) => {
      const found = listed.placement_groups.find((one) => one.name === `${owner.environment}-${group}`);
      return [group, new hcloud.PlacementGroup(`${name}-group-${group}`, { name: `${owner.environment}-${group}`, type: "spread", labels: labelsOf(owner, "placement-group") }, adopted(found))];
    }));
    this.registerOutputs({ sshKeys: this.sshKeys });
  }

  found(node: string): FoundNode {
    return this.#sight.nodes[node] ?? {};
  }

  orphan(node: string): number | undefined {
    return this.#sight.orphans[node];
  }

  /** The generation of the node's server, as far as the project or the last update knows one. */
  generation(node: string): number | undefined {
    const label = this.found(node).server?.labels[GENERATION];
    return label === undefined ? this.#sight.last[node]?.generation : Number(label);
  }

  group(name: string): pulumi.Output<number> {
    const group = this.#groups.get(name);
    if (group === undefined) throw new Error(`No node of this stack names the placement group ${name}.`);
    return numberOf(group);
  }
}

/** Type and key, without a comment. */
const keyOf = (line: string): string => line.trim().split(/\s+/).slice(0, 2).join(" ");

/** Hetzner's ids are numbers, Pulumi's are text. */
export const numberOf = (resource: pulumi.CustomResource): pulumi.Output<number> => resource.id.apply(Number);
