import { fileIdentitySecretSchema, publicIdentityIn, seedSchema, type Admission, type AnyIdentity, type FileIdentity, type FileIdentitySecret, type IdentityFile, type Seed } from "../../formats/identity.js";
import type { Place } from "../../formats/place.js";
import { publicIdentityOf } from "../../formats/publicIdentity.js";
import { parseFormat } from "../../formats/versioned.js";
import type { NodeIdentities } from "../../formats/walletSocket.js";
import { brief } from "../recipients.js";
import { nodePublicKeyOf } from "./seed.js";

/** Opens a text that was sealed for the wallet recipient. */
export type Open = (sealed: string) => Promise<string>;

/**
 * Opens all identities of a node, and holds what is inside against what each says of itself.
 *
 * @throws when one does not open, or holds another identity than it says
 */
export async function openIdentities(identity: IdentityFile, identities: readonly FileIdentity[], open: Open): Promise<NodeIdentities> {
  const seed = await openSeed(identity, open);
  const files: FileIdentitySecret[] = [];
  // One after the other: each may want a token to be touched.
  for (const one of identities) files.push(await openFileIdentity(one, open));
  return { seed, files };
}

async function openSeed(identity: IdentityFile, open: Open): Promise<Seed> {
  const seed = parseFormat(seedSchema, describe(identity), await opened(identity, open));
  requireSame(identity, seed, seed.nodePublicKey, derived(identity, () => nodePublicKeyOf(seed.mnemonic, seed.network)));
  return seed;
}

async function openFileIdentity(identity: FileIdentity, open: Open): Promise<FileIdentitySecret> {
  const inside = parseFormat(fileIdentitySecretSchema, describe(identity), await opened(identity, open));
  requireSame(identity, inside, inside.publicIdentity, derived(identity, () => publicIdentityOf(inside.kind, Buffer.from(inside.secret, "base64"))));
  if (inside.kind !== identity.kind || inside.name !== identity.name) throw new Error(`${describe(identity)} holds ${inside.kind} ${inside.name}. Put the right identity file back.`);
  return inside;
}

async function opened(identity: AnyIdentity, open: Open): Promise<string> {
  try {
    return await open(identity.sealed);
  } catch (error) {
    throw new Error(`${describe(identity)} does not open: ${(error as Error).message} It is sealed for ${brief(identity.recipient)}.`);
  }
}

/** What the world sees of the secret inside. Neither derivation quotes it. */
function derived(identity: AnyIdentity, derive: () => string): string {
  try {
    return derive();
  } catch (error) {
    throw new Error(`${describe(identity)} holds none: ${(error as Error).message}. Put the right identity file back.`);
  }
}

interface Owner { readonly environment: string; readonly network: string; readonly node: string }

function requireSame(outside: AnyIdentity, inside: Owner, stated: string, derived: string): void {
  const differing = (["environment", "network", "node"] as const).find((key) => outside[key] !== inside[key]);
  if (differing !== undefined) throw new Error(`${describe(outside)} was made for ${differing} ${inside[differing]}, not for ${outside[differing]}. Put the right identity file back.`);
  if (stated !== derived || publicIdentityIn(outside) !== derived) throw new Error(`${describe(outside)} names ${publicIdentityIn(outside)}, and what is inside makes ${derived}. Put the right identity file back.`);
}

const describe = (identity: AnyIdentity): string => `The ${identity.kind}${identity.kind === "lnd-seed" ? "" : ` ${identity.name}`} of ${identity.environment}/${identity.node}`;

/** What a host is given once: a node's identities for its place. */
export function admissionOf({ seed, files }: NodeIdentities, place: Place, now: Date): Admission {
  return {
    format: "holdfast-admission/1", place, mnemonic: seed.mnemonic, nodePublicKey: seed.nodePublicKey,
    files: files.map(({ kind, name, publicIdentity, secret }) => ({ kind, name, publicIdentity, secret })), sealedAt: now.toISOString(),
  };
}
