import { z } from "zod";
import { nameSchema, networks, placeSchema } from "./place.js";

const owner = { environment: nameSchema, network: z.enum(networks), node: nameSchema };
const nodePublicKey = z.string().regex(/^0[23][0-9a-f]{64}$/, "wants a compressed public key, 66 hex digits");
const mnemonic = z.array(z.string().regex(/^[a-z]+$/)).length(24);

/** A node identity as it rests with the operator: public facts, and an age file for the wallet recipient. Safe to keep in Git. */
export const identityFileSchema = z.strictObject({
  format: z.literal("holdfast-identity/1"),
  kind: z.literal("lnd-seed"),
  ...owner,
  /** The Lightning node id that this seed gives. */
  nodePublicKey,
  /** The wallet recipient that can open it. */
  recipient: z.string().startsWith("age1"),
  made: z.iso.datetime(),
  /** Armoured age file whose plaintext is a `seedSchema`. */
  sealed: z.string().startsWith("-----BEGIN AGE ENCRYPTED FILE-----"),
});
export type IdentityFile = z.infer<typeof identityFileSchema>;

/** The secret inside an identity file. */
export const seedSchema = z.strictObject({
  format: z.literal("holdfast-seed/1"),
  ...owner,
  /** aezeed, 24 words, no passphrase. */
  mnemonic,
  nodePublicKey,
});
export type Seed = z.infer<typeof seedSchema>;

/** The one-use bundle: a seed sealed for one host generation, kept in memory there and deleted once the wallet exists. */
export const admissionSchema = z.strictObject({
  format: z.literal("holdfast-admission/1"),
  place: placeSchema,
  mnemonic,
  nodePublicKey,
  sealedAt: z.iso.datetime(),
});
export type Admission = z.infer<typeof admissionSchema>;
