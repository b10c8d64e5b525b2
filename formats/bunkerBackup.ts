import { z } from "zod";

const hash = z.string().regex(/^[0-9a-f]{64}$/, "wants 64 hex digits");
const count = z.int().nonnegative();

/**
 * What a backup of the bunker says of itself: the first line of an age file's plaintext. The SQLite database follows, byte for byte, to the end.
 *
 * Its keys are encrypted within it, as NIP-49 or as nsecbunkerd left them.
 */
export const bunkerBackupSchema = z.strictObject({
  format: z.literal("holdfast-bunker-backup/1"),
  created: z.iso.datetime(),
  /** A key that was imported and never opened has no public key yet. */
  keys: z.array(z.strictObject({ name: z.string().min(1), publicKey: hash.optional() })),
  counts: z.strictObject({ keys: count, policies: count, rules: count, tokens: count, clients: count, usage: count, auditLines: count }),
  /** Where the audit chain ended. */
  auditHead: z.strictObject({ sequence: count, hash }),
  database: z.strictObject({ bytes: count, sha256: hash }),
});
export type BunkerBackup = z.infer<typeof bunkerBackupSchema>;
