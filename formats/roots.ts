import { z } from "zod";
import { auditHeadSchema } from "./audit.js";
import { fileIdentitySchema, identityFileSchema } from "./identity.js";
import { placeSchema } from "./place.js";
import { marksSchema, versionsSchema } from "./records.js";

/** Known beforehand: an export that decrypts to it was sealed and kept well. */
export const SENTINEL = "holdfast roots: if you can read this, the export opens";

/** Everything of a node that cannot be made again: the plaintext of an age file for the recovery recipient, off-site before the node starts. */
export const rootsSchema = z.strictObject({
  format: z.literal("holdfast-roots/1"),
  sentinel: z.literal(SENTINEL),
  place: placeSchema,
  /** The node's name in the stack file; `place.node` is its id. */
  name: z.string(),
  sealed: z.iso.datetime(),
  /** What keys derive from, by secret id; `wireguard-peer-<name>` for a peer. */
  roots: z.record(z.string(), z.strictObject({ version: z.int().min(1), value: z.string().min(1) })),
  /** Public, in PEM, by file name: what clients have pinned. */
  certificates: z.record(z.string(), z.string()),
  /** What the backup store asks for. */
  storePassword: z.string(),
  /** Node identities, sealed for the wallet recipient. */
  identities: z.array(z.union([identityFileSchema, fileIdentitySchema])),
  /** The wallet identity's own file, when it is behind a passphrase or a plugin; one in clear never is exported. */
  walletIdentity: z.string().optional(),
  recipients: z.strictObject({ environment: z.string(), recovery: z.string(), wallet: z.string() }),
  versions: versionsSchema,
  marks: marksSchema,
  audit: auditHeadSchema.optional(),
});
export type Roots = z.infer<typeof rootsSchema>;

/** Where an export lies, and what it is: public. */
export const depositedSchema = z.strictObject({
  /** Below the store: `<environment>/<node id>/<time>.roots.age`. */
  file: z.string(),
  /** SHA-256 of the sealed file. */
  digest: z.string().regex(/^[0-9a-f]{64}$/),
});
export type Deposited = z.infer<typeof depositedSchema>;
