import { dirname } from "node:path";
import type { FileIdentityKind } from "../../formats/identity.js";
import type { Network } from "../../formats/place.js";
import { NoIdentity, publicIdentityInPlace } from "../../formats/publicIdentity.js";
import type { Settings } from "../../formats/settings.js";
import type { Disk } from "../secrets/disk.js";
import type { GateHost, Layout } from "./host.js";

/** An identity that the settings name. */
export type NamedIdentity = Settings["identities"][number];

/** Where a daemon looks for an identity, and what is needed to put it there. */
export interface IdentityPlace {
  readonly path: string;
  /** User and group. */
  readonly owner: string;
  /** Of the file; its folders are the owner's alone. */
  readonly mode: number;
  /** What the owner comes with. */
  readonly service: string;
}

/** The folder of a network below Core Lightning's own. @see lightningd-config(5), network */
const clnFolder: Readonly<Record<Network, string>> = { mainnet: "bitcoin", testnet4: "testnet4", signet: "signet", regtest: "regtest" };

const table: Readonly<Record<FileIdentityKind, (paths: Layout, name: string, network: Network) => IdentityPlace>> = {
  "cln-hsm-secret": (paths, _name, network) => ({ path: `${paths.clightning}/${clnFolder[network]}/hsm_secret`, owner: "clightning", mode: 0o400, service: "clightning" }),
  nsec: (paths, name) => ({ path: `${paths.bunker}/identities/${name}`, owner: "bunker", mode: 0o400, service: "bunker" }),
  "onion-key": (paths, name) => ({ path: `${paths.tor}/onion/${name}/hs_ed25519_secret_key`, owner: "tor", mode: 0o400, service: "tor" }),
};

export const placeOfIdentity = (paths: Layout, { kind, name }: Pick<NamedIdentity, "kind" | "name">, network: Network): IdentityPlace => table[kind](paths, name, network);

/** One identity of the settings, and what is in its place now. */
export interface IdentityFact {
  readonly identity: NamedIdentity;
  readonly place: IdentityPlace;
  readonly state:
    | { readonly is: "absent" | "there" }
    /** Another one, or something that is none. */
    | { readonly is: "foreign"; readonly holds: string }
    /** This system does not have its user. */
    | { readonly is: "ownerless" };
}

/** Looks at the place of every identity that the settings name. Changes nothing. */
export async function identityFacts(host: GateHost, { identities, place: { network } }: Pick<Settings, "identities" | "place">): Promise<IdentityFact[]> {
  const { users, groups } = await host.owners();
  return Promise.all(identities.map(async (identity) => {
    const place = placeOfIdentity(host.paths, identity, network);
    const state = await stateOf(host.disk, identity, place);
    return { identity, place, state: state.is === "absent" && !(users.has(place.owner) && groups.has(place.owner)) ? { is: "ownerless" as const } : state };
  }));
}

async function stateOf(disk: Disk, identity: NamedIdentity, { path }: IdentityPlace): Promise<Exclude<IdentityFact["state"], { readonly is: "ownerless" }>> {
  const seen = await disk.look(path);
  if (seen === undefined) return { is: "absent" };
  if (seen.kind !== "file") return { is: "foreign", holds: `a ${seen.kind}` };
  try {
    const found = publicIdentityInPlace(identity.kind, await disk.read(path));
    return found === identity.publicIdentity ? { is: "there" } : { is: "foreign", holds: found };
  } catch (error) {
    if (error instanceof NoIdentity) return { is: "foreign", holds: `something that is no ${identity.kind}` };
    throw error;
  }
}

/**
 * Puts an identity into its place, whole or not at all, for its owner alone. Never over a file that is there.
 *
 * @param secret the bytes of the file
 * @throws when a folder on the way belongs to somebody else, or is a link
 */
export async function placeIdentity(host: Pick<GateHost, "owners" | "disk">, place: IdentityPlace, secret: Uint8Array): Promise<void> {
  const { users, groups } = await host.owners();
  const [uid, gid] = [users.get(place.owner)!, groups.get(place.owner)!];
  const { disk } = host;
  await makeFolders(disk, dirname(place.path), { uid, gid, mode: 0o700 });
  const fresh = halfOf(place);
  await disk.remove(fresh);
  await disk.makeFile(fresh, secret, { uid, gid, mode: place.mode });
  await disk.link(fresh, place.path);
  await disk.remove(fresh);
  await disk.sync(dirname(place.path));
}

/** Removes what a placing that was killed left beside the file. */
export async function removeHalf({ disk }: Pick<GateHost, "disk">, place: IdentityPlace): Promise<void> {
  if (await disk.look(halfOf(place))) await disk.remove(halfOf(place));
}

const halfOf = ({ path }: IdentityPlace): string => `${path}.holdfast`;

/** Makes the folders that are missing. A folder that the daemon's own user owns could be a link of its making: that is not followed. */
async function makeFolders(disk: Disk, folder: string, ownership: { readonly uid: number; readonly gid: number; readonly mode: number }): Promise<void> {
  const seen = await disk.look(folder);
  if (seen?.kind === "folder") return;
  if (seen !== undefined) throw new Error(`${folder} is a ${seen.kind} and no folder. Move it away: an identity is placed below real folders alone.`);
  await makeFolders(disk, dirname(folder), ownership);
  await disk.makeOwnFolder(folder, ownership);
}
