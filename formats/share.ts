import { z } from "zod";
import { nameSchema } from "./place.js";

const digest = z.string().regex(/^[0-9a-f]{64}$/, "wants a SHA-256 in hex");

/** One share of a recovery identity: the plaintext of an age file for one trustee. */
export const shareSchema = z.strictObject({
  format: z.literal("holdfast-share/1"),
  environment: nameSchema,
  /** Shares of different splits do not go together. 32 hex digits. */
  split: z.string().regex(/^[0-9a-f]{32}$/),
  trustee: nameSchema,
  threshold: z.int().min(2).max(255),
  shares: z.int().min(2).max(255),
  /** Of the recovery identity: a share of a hybrid one is never sealed for a classical recipient. */
  kind: z.enum(["classical", "hybrid"]),
  /** SHA-256 of the recovery recipient: what is combined must be its identity. The recipient itself may have two thousand letters, and a sealed share must fit on a page. */
  recovery: digest,
  /** What Shamir's scheme made, in base64. */
  share: z.base64().min(1),
  /** SHA-256 of the share's bytes: tells a damaged one. */
  digest,
});
export type Share = z.infer<typeof shareSchema>;

/** The machine-readable kit: everything public that a rebuild needs beside k shares, and each share sealed for its trustee. */
export const kitSchema = z.strictObject({
  format: z.literal("holdfast-kit/1"),
  environment: nameSchema,
  network: z.string(),
  made: z.iso.datetime(),
  split: z.string().regex(/^[0-9a-f]{32}$/),
  threshold: z.int().min(2).max(255),
  recipient: z.string().startsWith("age1"),
  trustees: z.array(z.strictObject({
    name: nameSchema,
    recipient: z.string().startsWith("age1"),
    /** Armoured age file for the trustee. */
    sealed: z.string().startsWith("-----BEGIN AGE ENCRYPTED FILE-----"),
    /** Of the share inside: a wrong share is named by it. */
    digest,
  })).min(2).max(255),
  /** What a rebuild needs. */
  rebuild: z.strictObject({
    /** Git commit of the project, and whether the tree had changes that are in no commit. */
    commit: z.string(),
    changed: z.boolean(),
    /** Versions of Pulumi and its plugins, by name. */
    versions: z.record(z.string(), z.string()),
    /** Where the sealed roots lie. */
    deposit: z.string(),
    /** Public facts of each node, by name, as far as they were known. `repository` holds its backups. */
    nodes: z.record(z.string(), z.strictObject({
      id: z.string(), nodePublicKey: z.string().optional(), tunnelPublicKey: z.string().optional(), repository: z.string().optional(), generation: z.int().optional(),
    })),
  }),
}).refine(({ threshold, trustees }) => threshold <= trustees.length, { error: "wants no more shares than there are trustees", path: ["threshold"] })
  .refine(({ trustees }) => new Set(trustees.map(({ name }) => name)).size === trustees.length, { error: "names a trustee twice", path: ["trustees"] });
export type Kit = z.infer<typeof kitSchema>;
