import { z } from "zod";

const hash = z.string().regex(/^[0-9a-f]{64}$/, "wants a SHA-256 in hex");

/** What leaves a line: every use of an age identity, of the escrow, every rotation, unlocking and delivery. */
export const auditActions = [
  "environment-created", "environment-unlocked", "environment-locked", "wallet-unlocked", "wallet-locked", "identity-made", "identity-resealed", "identity-forgotten",
  "bundle-delivered", "older-bundle-accepted", "roots-deposited", "escrow-created", "escrow-contributed", "escrow-recovered", "escrow-drilled", "state-restored",
  "ssh-rotated", "age-rotated", "secret-rotated", "wireguard-rotated",
  // A line that was never finished was set aside.
  "log-mended",
] as const;
export type AuditAction = (typeof auditActions)[number];

/** What a line is about, without its place in the chain. Never holds a value. */
export const auditEntrySchema = z.strictObject({
  action: z.enum(auditActions),
  environment: z.string().min(1),
  /** Which node, secret, peer, recipient or trustee. */
  subject: z.string().max(300),
  /** `begun` comes before the deed: a deed without a later line was cut short. */
  outcome: z.enum(["begun", "done", "failed"]),
  /** For people: what failed, which recipient. */
  note: z.string().max(500).optional(),
});
export type AuditEntry = z.infer<typeof auditEntrySchema>;

/** One line of an audit log: JSON, one line each, in order. */
export const auditLineSchema = z.strictObject({
  format: z.literal("holdfast-audit/1"),
  /** Counts from 1, without a gap. */
  sequence: z.int().positive(),
  time: z.iso.datetime(),
  /** `user@host` of whoever ran the command. */
  who: z.string().min(1),
  ...auditEntrySchema.shape,
  /** The hash of the line before; 64 zeros in the first. */
  previous: hash,
  /** SHA-256 of this line's JSON without this key. */
  hash,
});
export type AuditLine = z.infer<typeof auditLineSchema>;

/** Where a log ended when somebody looked: what lies off-site, so that a cut end is found. */
export const auditHeadSchema = z.strictObject({ sequence: z.int().nonnegative(), hash });
export type AuditHead = z.infer<typeof auditHeadSchema>;
