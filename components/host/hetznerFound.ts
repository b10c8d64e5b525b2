import type { HetznerSpecification } from "../../config/schema.js";
import type { ResourceOf } from "./hetznerApi.js";

/** What a resource is to its node, or to the whole environment. */
export type Role = "server" | "ipv4" | "ipv6" | "volume" | "firewall" | "closed" | "ssh-key" | "placement-group";

/** Whose a resource is. */
export interface Owner {
  readonly environment: string;
  /** A digest of what no other environment has: two people may both call theirs `prod`. */
  readonly owner: string;
}

/** By these a resource is found when the state is lost. Their values never hold anything secret. */
export const labelsOf = ({ environment, owner }: Owner, role: Role, node?: string): Record<string, string> => ({
  "holdfast-environment": environment, "holdfast-owner": owner, "holdfast-role": role, ...(node !== undefined && { "holdfast-node": node }),
});

/** In the API's form: every label of these. */
export const selectorOf = (labels: Readonly<Record<string, string>>): string => Object.entries(labels).map(([key, value]) => `${key}=${value}`).join(",");

/** Beside the other labels of a server: a new one replaces it. */
export const GENERATION = "holdfast-generation";

/** What the project has, of the whole environment. */
export interface Listed {
  readonly servers: readonly ResourceOf<"servers">[];
  readonly primary_ips: readonly ResourceOf<"primary_ips">[];
  readonly volumes: readonly ResourceOf<"volumes">[];
  readonly firewalls: readonly ResourceOf<"firewalls">[];
  readonly placement_groups: readonly ResourceOf<"placement_groups">[];
  /** All of the project: a key may be there for other reasons, and only once. */
  readonly ssh_keys: readonly ResourceOf<"ssh_keys">[];
}

/** What the project has of a node already. */
export interface FoundNode {
  readonly server?: ResourceOf<"servers"> | undefined;
  readonly ipv4?: ResourceOf<"primary_ips"> | undefined;
  readonly ipv6?: ResourceOf<"primary_ips"> | undefined;
  readonly volume?: ResourceOf<"volumes"> | undefined;
  readonly firewall?: ResourceOf<"firewalls"> | undefined;
}

/**
 * The one resource that has all of these labels.
 *
 * @throws when there are two: nobody could say which one is meant
 */
export function findByLabels<T extends { readonly id: number; readonly labels: Readonly<Record<string, string>> }>(resources: readonly T[], labels: Readonly<Record<string, string>>): T | undefined {
  const found = resources.filter((one) => Object.entries(labels).every(([key, value]) => one.labels[key] === value));
  if (found.length > 1) {
    throw new Error(`The Hetzner project has ${found.length} resources with the labels ${selectorOf(labels)}: ids ${found.map(({ id }) => id).join(", ")}. `
      + "Nothing was changed. Take the label holdfast-role off those that are not this node's, in Hetzner's console.");
  }
  return found[0];
}

export function foundNode(listed: Listed, owner: Owner, node: string): FoundNode {
  const labels = (role: Role): Record<string, string> => labelsOf(owner, role, node);
  return {
    server: findByLabels(listed.servers, labels("server")),
    ipv4: findByLabels(listed.primary_ips, labels("ipv4")),
    ipv6: findByLabels(listed.primary_ips, labels("ipv6")),
    volume: findByLabels(listed.volumes, labels("volume")),
    firewall: findByLabels(listed.firewalls, labels("firewall")),
  };
}

/** Under which id each resource of a node is taken into a state that does not know it. One that the state has already is left as it is. */
export interface Adoption {
  readonly server?: string;
  readonly ipv4?: string;
  readonly ipv6?: string;
  readonly volume?: string;
  readonly firewall?: string;
  readonly volumeAttachment?: string;
}

/** What of a node is to be adopted. Nothing that this update replaces: Pulumi refuses both at once. */
export function adoptionOf(found: FoundNode, { generation, volume }: Pick<HetznerSpecification, "generation" | "volume">): Adoption {
  const server = found.server?.labels[GENERATION] === String(generation) ? found.server : undefined;
  const disk = found.volume !== undefined && !isReplaced(found, volume) ? found.volume : undefined;
  const idOf = (key: keyof Adoption, one: { readonly id: number } | undefined): Adoption => (one === undefined ? {} : { [key]: String(one.id) });
  return {
    ...idOf("server", server), ...idOf("ipv4", found.ipv4), ...idOf("ipv6", found.ipv6), ...idOf("volume", disk), ...idOf("firewall", found.firewall),
    ...idOf("volumeAttachment", server !== undefined && disk?.server === server.id ? disk : undefined),
  };
}

/** Whether the operator has named the volume that is there: the word without which no volume is deleted or replaced. */
export const isDiscarded = ({ volume: found }: FoundNode, volume: HetznerSpecification["volume"]): boolean => found !== undefined && volume.discard === found.id;

/** A volume grows where it is. It never shrinks: a smaller one is another one, without the data. */
export const isReplaced = (found: FoundNode, volume: HetznerSpecification["volume"]): boolean => isDiscarded(found, volume) && found.volume!.size > volume.size;

/** Ids that the last update left in the stack's outputs. */
export interface LastSeen {
  readonly ipv4: number;
  readonly volume: number;
  /** Of the server that it left. */
  readonly generation: number;
}

/** Why the project must not be touched for this node, as the path of a setting and words; empty when nothing speaks against it. */
export function hetznerFaults(name: string, { location, volume }: HetznerSpecification, found: FoundNode): { readonly path: string; readonly found: string; readonly wanted: string }[] {
  const at = (key: string, what: unknown, wanted: string) => ({ path: `holdfast:nodes.${name}.host.hetzner.${key}`, found: JSON.stringify(what), wanted });
  const elsewhere = ([["address", found.ipv4], ["address", found.ipv6], ["volume", found.volume]] as const)
    .flatMap(([what, one]) => (one?.location == null || one.location.name === location ? [] : [`its ${what} ${one.id} lies in ${one.location.name}`]));
  const shrinks = found.volume !== undefined && found.volume.size > volume.size && !isDiscarded(found, volume);
  return [
    ...(elsewhere.length === 0 ? [] : [at("location", location, `is another place than the node's own: ${elsewhere.join(", ")}, and neither addresses nor volumes can move; wants the place where they are`)]),
    ...(shrinks ? [at("volume.size", volume.size, `is less than volume ${found.volume!.id} has (${found.volume!.size} GB), and a volume never shrinks; wants ${found.volume!.size} or more, or volume.discard: ${found.volume!.id}, the word that this volume and all data on it may go`)] : []),
  ];
}
