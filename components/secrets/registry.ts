import type { SecretVersion } from "../../formats/records.js";
import type { Service } from "../../formats/services.js";
import { chainSecrets } from "./registry/chain.js";
import { hostSecrets, presharedKey } from "./registry/host.js";
import { lightningSecrets } from "./registry/lightning.js";
import type { Secret } from "./secret.js";

export { presharedKey } from "./registry/host.js";

/** Every service secret that a node can have, except its peers' preshared keys. File names, owners and modes are nix-bitcoin's where it has them. */
export const registry: readonly Secret[] = [...chainSecrets, ...lightningSecrets, ...hostSecrets];

/** A secret in the version that a node has. */
export type Versioned<T extends Secret = Secret> = T & { readonly version: number };

export type Versions = Readonly<Record<string, SecretVersion>>;

/**
 * The secrets of a node: those of its services, each in its version, with the preshared keys of its peers.
 *
 * @throws on two secrets of one id or file, and on a higher version of one that never rotates
 */
export function secretsOf(services: readonly Service[], peers: readonly { readonly name: string }[], versions: Versions = {}): readonly Versioned[] {
  const secrets = [...registry.map((secret) => withVersion(secret, versions)), ...peers.map(({ name }) => ({ ...presharedKey(name), version: 1 }))]
    .filter((secret) => secret.services.some((service) => services.includes(service)));
  for (const key of ["id", "file"] as const) {
    const twice = secrets.find((secret, index) => secrets.findIndex((other) => other[key] === secret[key]) !== index);
    if (twice !== undefined) throw new Error(`Two secrets of one node have the ${key} ${twice[key]}. Each must have its own: correct the registry of secrets, or give the peers of the tunnel different names.`);
  }
  return secrets;
}

/** The id under which `versions.json` counts a secret: what `holdfast rotate` raises. */
export function countedAs(secret: Secret): string {
  if (secret.kind === "certificate") return secret.of;
  return secret.kind === "derived" ? secret.rootOf ?? secret.id : secret.id;
}

/** What a value is derived from beside its root: node, secret and version, never a display name. */
export const secretId = (nodeId: string, secret: Pick<Secret, "id"> & { readonly version?: number }): string => `${nodeId}/${secret.id}/${secret.version ?? 1}`;

function withVersion<T extends Secret>(secret: T, versions: Versions): Versioned<T> {
  const version = versions[countedAs(secret)]?.version ?? 1;
  if (secret.rotation === "never" && version > 1) {
    throw new Error(`versions.json gives ${secret.id} the version ${version}, and it never rotates. ${secret.rotating ?? ""} Take the entry out of versions.json.`);
  }
  return { ...secret, version };
}
