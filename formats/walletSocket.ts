import { z } from "zod";
import { fileIdentitySecretSchema, seedSchema } from "./identity.js";
import { nameSchema, networks, placeSchema } from "./place.js";

/** A host's own recipient: a key, never a plugin's name. */
const recipient = z.string().max(4000).regex(/^age1(pq1)?[02-9ac-hj-np-z]{58,}$/, "wants a host's age recipient");

/** What is asked of an unlocked wallet: one JSON line on its socket. */
export const walletRequestSchema = z.discriminatedUnion("ask", [
  /** A node's identities, sealed for one host. */
  z.strictObject({ format: z.literal("holdfast-wallet/1"), ask: z.literal("reseal"), place: placeSchema, recipient }),
  z.strictObject({ format: z.literal("holdfast-wallet/1"), ask: z.literal("status") }),
  /** To forget everything, and to end. */
  z.strictObject({ format: z.literal("holdfast-wallet/1"), ask: z.literal("lock") }),
]);
export type WalletRequest = z.infer<typeof walletRequestSchema>;

/** For whom an unlocked wallet answers. Public. */
const holder = {
  environment: nameSchema,
  network: z.enum(networks),
  nodes: z.array(nameSchema),
  /** When it ends by itself. */
  until: z.iso.datetime(),
};

/** Its answer: one JSON line, which says for whom the wallet is, whatever was asked. */
export const walletReplySchema = z.strictObject({
  format: z.literal("holdfast-wallet/1"),
  ...holder,
  /** The answer to `reseal`: an armoured age file of an admission. */
  sealed: z.string().startsWith("-----BEGIN AGE ENCRYPTED FILE-----").optional(),
  /** Why there is none, for a person. */
  error: z.string().optional(),
});
export type WalletReply = z.infer<typeof walletReplySchema>;

/** A node's identities in clear: in memory and on a pipe, nowhere else. */
export const nodeIdentitiesSchema = z.strictObject({ seed: seedSchema, files: z.array(fileIdentitySecretSchema) });
export type NodeIdentities = z.infer<typeof nodeIdentitiesSchema>;

/** What `holdfast wallet unlock` hands to the process that keeps it, over a pipe. */
export const keptSchema = z.strictObject({
  format: z.literal("holdfast-kept-wallet/1"),
  environment: holder.environment,
  network: holder.network,
  until: holder.until,
  nodes: z.array(nodeIdentitiesSchema),
  socket: z.string().startsWith("/"),
  audit: z.strictObject({ file: z.string().startsWith("/"), environment: z.string() }),
  /** The shell for which it was unlocked. @see proc_pid_stat(5), fields 1 and 22 */
  leader: z.strictObject({ pid: z.int().positive(), started: z.string() }).optional(),
});
export type Kept = z.infer<typeof keptSchema>;
