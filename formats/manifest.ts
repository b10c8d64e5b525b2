import { z } from "zod";
import { nameSchema, networks } from "./place.js";

/** The public identity that a node must have, kept beside its backup. The gate holds every restored wallet against it. */
export const manifestSchema = z.strictObject({
  format: z.literal("holdfast-manifest/1"),
  environment: nameSchema,
  network: z.enum(networks),
  node: nameSchema,
  /** Of the host that wrote it. */
  generation: z.int().positive(),
  /** Rises by one with every manifest that the node writes, across generations. */
  sequence: z.int().nonnegative(),
  written: z.iso.datetime(),
  /** The highest version of secrets that the node has had (milliseconds since 1970): a host refuses older ones, a new host too. */
  secretsVersion: z.int().positive().optional(),
  lightning: z.strictObject({
    nodePublicKey: z.string().regex(/^0[23][0-9a-f]{64}$/),
    /** Confirmed on-chain balance in satoshi. */
    confirmedBalance: z.int().nonnegative(),
    /** Keys that the wallet has handed out: the recovery window must reach past the highest. */
    addresses: z.strictObject({ external: z.int().nonnegative(), internal: z.int().nonnegative() }),
    /** Channels in the channel.backup beside it, pending ones included. */
    channels: z.int().nonnegative(),
    blockHeight: z.int().nonnegative(),
  }),
});
export type Manifest = z.infer<typeof manifestSchema>;
