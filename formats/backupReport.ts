import { z } from "zod";

/** What the backup watch says of itself, in `backup-report.json` of the agent's state. */
export const backupReportSchema = z.strictObject({
  format: z.literal("holdfast-backup-report/1"),
  /** The last backup that was sent and read back. */
  lastBackup: z.iso.datetime().optional(),
  sequence: z.int().nonnegative().optional(),
  /** SHA-256 of the channel.backup that is safe, in hex. */
  channelBackupDigest: z.string().optional(),
  /** Since when something waits to be sent, and why it could not be. */
  pendingSince: z.iso.datetime().optional(),
  trouble: z.string().optional(),
});
export type BackupReport = z.infer<typeof backupReportSchema>;
