import { randomBytes } from "node:crypto";
import { existsSync, writeFileSync } from "node:fs";
import { CipherSeed } from "aezeed";
import { nodePublicKeyOf } from "../components/secrets/identities.js";
import { sealText } from "../custody/seal.js";
import { identityFileSchema, seedSchema, type IdentityFile } from "../formats/identity.js";
import type { Network } from "../formats/place.js";
import { printFormat } from "../formats/versioned.js";

/** Whose identity is made, and who may open it. */
export interface IdentityOwner {
  readonly environment: string;
  readonly network: Network;
  readonly node: string;
  /** The wallet recipient. */
  readonly recipient: string;
}

/** Makes a node's LND seed, in this process's memory alone, and seals it for the wallet recipient. Works offline. */
export async function makeIdentity(owner: IdentityOwner, now: Date): Promise<IdentityFile> {
  const mnemonic = new CipherSeed(randomBytes(16), randomBytes(5)).toMnemonic().split(" ");
  const { recipient, ...place } = owner;
  const nodePublicKey = nodePublicKeyOf(mnemonic, owner.network);
  const sealed = await sealText(printFormat(seedSchema, { format: "holdfast-seed/1", ...place, mnemonic, nodePublicKey }), recipient);
  return { format: "holdfast-identity/1", kind: "lnd-seed", ...place, nodePublicKey, recipient, made: now.toISOString(), sealed };
}

/**
 * Writes a new identity to its file.
 *
 * @throws when the file is there: a seed is never overwritten
 */
export async function createIdentityFile(path: string, owner: IdentityOwner): Promise<IdentityFile> {
  if (existsSync(path)) throw new Error(`${path} is there already. A node's seed is never overwritten; move the file away if it is truly unused.`);
  const identity = await makeIdentity(owner, new Date());
  identityFileSchema.parse(identity);
  writeFileSync(path, `${JSON.stringify(identity, undefined, 2)}\n`, { mode: 0o644, flag: "wx" });
  return identity;
}
