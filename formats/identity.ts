import { z } from "zod";
import { nameSchema, networks, placeSchema } from "./place.js";

const owner = { environment: nameSchema, network: z.enum(networks), node: nameSchema };
const nodePublicKey = z.string().regex(/^0[23][0-9a-f]{64}$/, "wants a compressed public key, 66 hex digits");
const mnemonic = z.array(z.string().regex(/^[a-z]+$/)).length(24);

/** What a node can be, apart from its Lightning seed, and what it keeps in a file of the host. */
export const fileIdentityKinds = ["cln-hsm-secret", "nsec", "onion-key"] as const;
export type FileIdentityKind = (typeof fileIdentityKinds)[number];

const resting = {
  format: z.literal("holdfast-identity/1"),
  ...owner,
  /** The wallet recipient that can open it. */
  recipient: z.string().startsWith("age1"),
  made: z.iso.datetime(),
  /** Armoured age file. */
  sealed: z.string().startsWith("-----BEGIN AGE ENCRYPTED FILE-----"),
};

/** An LND seed as it rests with the operator: public facts, and an age file for the wallet recipient (plaintext: `seedSchema`). Safe to keep in Git. */
export const identityFileSchema = z.strictObject({
  ...resting,
  kind: z.literal("lnd-seed"),
  /** The Lightning node id that this seed gives. */
  nodePublicKey,
});
export type IdentityFile = z.infer<typeof identityFileSchema>;

/** Any other node identity as it rests with the operator (plaintext of its age file: `fileIdentitySecretSchema`). Safe to keep in Git. */
export const fileIdentitySchema = z.strictObject({
  ...resting,
  kind: z.enum(fileIdentityKinds),
  /** Tells several of a kind on one node: the onion service, the signer's key. `main` where there is one. */
  name: nameSchema,
  /** What the world sees: Core Lightning's node id, the signer's public key in hex, the onion address. */
  publicIdentity: z.string().min(1),
});
export type FileIdentity = z.infer<typeof fileIdentitySchema>;

/** A node identity of any kind, as it rests. */
export const anyIdentitySchema = z.discriminatedUnion("kind", [identityFileSchema, fileIdentitySchema]);
export type AnyIdentity = z.infer<typeof anyIdentitySchema>;
export const identityKinds = ["lnd-seed", ...fileIdentityKinds] as const;
export type IdentityKind = (typeof identityKinds)[number];

/** What the world sees of an identity. */
export const publicIdentityIn = (identity: AnyIdentity): string => (identity.kind === "lnd-seed" ? identity.nodePublicKey : identity.publicIdentity);

/** The secret inside a file identity. */
export const fileIdentitySecretSchema = z.strictObject({
  format: z.literal("holdfast-file-identity/1"),
  ...owner,
  kind: z.enum(fileIdentityKinds),
  name: nameSchema,
  publicIdentity: z.string().min(1),
  /** The very bytes of the file that the daemon reads. */
  secret: z.base64(),
});
export type FileIdentitySecret = z.infer<typeof fileIdentitySecretSchema>;

/** The secret inside an LND seed's file. */
export const seedSchema = z.strictObject({
  format: z.literal("holdfast-seed/1"),
  ...owner,
  /** aezeed, 24 words, no passphrase. */
  mnemonic,
  nodePublicKey,
});
export type Seed = z.infer<typeof seedSchema>;

/** The one-use bundle: a node's identities sealed for one host generation, kept in memory there and deleted once they are in their places. */
export const admissionSchema = z.strictObject({
  format: z.literal("holdfast-admission/1"),
  place: placeSchema,
  mnemonic,
  nodePublicKey,
  /** Every other identity of the node. */
  files: z.array(z.strictObject({ kind: z.enum(fileIdentityKinds), name: nameSchema, publicIdentity: z.string(), secret: z.base64() })).default([]),
  sealedAt: z.iso.datetime(),
});
export type Admission = z.infer<typeof admissionSchema>;
