import { z } from "zod";
import { nameSchema, networks } from "./place.js";

const digest = z.string().regex(/^[0-9a-f]{64}$/, "wants a SHA-256 in hex");

/** What a test stack proved: these configurations ran, committed, with an open gate. */
export const releaseStatementSchema = z.strictObject({
  format: z.literal("holdfast-release/1"),
  environment: z.string().min(1),
  network: z.enum(networks),
  /** By node id: the digest of its configuration (config/release.ts), and the system that was built from it. */
  nodes: z.record(nameSchema, z.strictObject({ configuration: digest, system: z.string().startsWith("/nix/store/") })),
  proven: z.iso.datetime(),
});
export type ReleaseStatement = z.infer<typeof releaseStatementSchema>;

/** `proofs/<time>.json` of an environment's records: a statement as it was signed, to the byte. */
export const releaseProofSchema = z.strictObject({
  format: z.literal("holdfast-release-proof/1"),
  /** JSON of the statement. */
  statement: z.string(),
  /** Of an access key, over the statement, in the namespace below. PROTOCOL.sshsig */
  signature: z.string().startsWith("-----BEGIN SSH SIGNATURE-----"),
});
export type ReleaseProof = z.infer<typeof releaseProofSchema>;

/** A signature for another purpose proves nothing here. */
export const RELEASE_NAMESPACE = "holdfast-release@1";
