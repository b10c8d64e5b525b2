import { z } from "zod";
import { placeSchema } from "./place.js";

/** One secret as a file below the secrets directory. */
export const secretFileSchema = z.strictObject({
  name: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,100}$/, "wants a plain file name"),
  owner: z.string().min(1),
  group: z.string().min(1),
  /** Four octal digits. */
  mode: z.string().regex(/^0[0-7]{3}$/, "wants four octal digits"),
  /** systemd units that read the file and are restarted, once, when it changes. */
  consumers: z.array(z.string()),
  content: z.base64(),
});
export type SecretFile = z.infer<typeof secretFileSchema>;

/** All of a node's service secrets: the plaintext of an age file for the host's recipient. */
export const bundleSchema = z.strictObject({
  format: z.literal("holdfast-bundle/1"),
  place: placeSchema,
  /**
   * Milliseconds since 1970 at which the bundle was sealed. Within the place's generation a host refuses a lower one than it has had, and the gate of any
   * generation a lower one than the manifest knows.
   */
  version: z.int().positive(),
  files: z.array(secretFileSchema),
});
export type Bundle = z.infer<typeof bundleSchema>;
