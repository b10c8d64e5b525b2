import { createECDH, generateKeyPairSync, createHash, randomBytes } from "node:crypto";
import { bech32 } from "@scure/base";
import { fileIdentitySecretSchema, seedSchema, type FileIdentity, type FileIdentityKind, type IdentityFile } from "../../formats/identity.js";
import type { Network } from "../../formats/place.js";
import { publicIdentityOf } from "../../formats/publicIdentity.js";
import { printFormat } from "../../formats/versioned.js";
import { brief } from "../recipients.js";
import { sealText } from "../seal.js";
import { newMnemonic, nodePublicKeyOf } from "./seed.js";

/** Whose identity is made, and who may open it. */
export interface IdentityOwner {
  readonly environment: string;
  readonly network: Network;
  /** The node's id. */
  readonly node: string;
  /** The wallet recipient. */
  readonly recipient: string;
}

/** Makes a node's LND seed, in this process's memory alone, and seals it for the wallet recipient. Works offline. */
export async function makeSeed({ environment, network, node, recipient }: IdentityOwner, now: Date): Promise<IdentityFile> {
  const owner = { environment, network, node };
  const mnemonic = newMnemonic();
  const nodePublicKey = nodePublicKeyOf(mnemonic, network);
  const sealed = await seal(printFormat(seedSchema, { format: "holdfast-seed/1", ...owner, mnemonic, nodePublicKey }), recipient);
  return { format: "holdfast-identity/1", kind: "lnd-seed", ...owner, nodePublicKey, recipient, made: now.toISOString(), sealed };
}

/** Makes any other identity of a node, likewise. */
export async function makeFileIdentity(
  { environment, network, node, recipient }: IdentityOwner, { kind, name }: { readonly kind: FileIdentityKind; readonly name: string }, now: Date,
): Promise<FileIdentity> {
  const secret = newSecret(kind);
  const facts = { environment, network, node, kind, name, publicIdentity: publicIdentityOf(kind, secret) };
  const sealed = await seal(printFormat(fileIdentitySecretSchema, { format: "holdfast-file-identity/1", ...facts, secret: secret.toString("base64") }), recipient);
  return { format: "holdfast-identity/1", ...facts, recipient, made: now.toISOString(), sealed };
}

/** The bytes of a new file, as the daemon that reads it wants them. */
function newSecret(kind: FileIdentityKind): Buffer {
  switch (kind) {
    case "cln-hsm-secret": return randomBytes(32);
    case "nsec": return Buffer.from(`${bech32.encodeFromBytes("nsec", secp256k1Key())}\n`);
    case "onion-key": return onionKey();
  }
}

/** A private key between 1 and the curve's order. */
function secp256k1Key(): Buffer {
  const curve = createECDH("secp256k1");
  curve.generateKeys();
  return Buffer.from(curve.getPrivateKey("hex").padStart(64, "0"), "hex");
}

/**
 * The content of Tor's `hs_ed25519_secret_key`: a header, then the expanded Ed25519 key.
 *
 * @see Tor's rend-spec-v3, A.2 "Tor's key derivation scheme"; RFC 8032 section 5.1.5
 */
function onionKey(): Buffer {
  const { privateKey } = generateKeyPairSync("ed25519");
  const expanded = createHash("sha512").update(privateKey.export({ format: "der", type: "pkcs8" }).subarray(-32)).digest();
  expanded[0]! &= 248;
  expanded[31] = (expanded[31]! & 127) | 64;
  return Buffer.concat([Buffer.from("== ed25519v1-secret: type0 ==\0\0\0", "latin1"), expanded]);
}

async function seal(text: string, recipient: string): Promise<string> {
  try {
    return await sealText(text, recipient);
  } catch (error) {
    throw new Error(`Nothing was made: the identity could not be sealed for ${brief(recipient)} (${(error as Error).message}). Give the wallet recipient as \`age-keygen -y\` or its plugin prints it.`);
  }
}
