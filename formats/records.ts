import { z } from "zod";
import { nameSchema } from "./place.js";

/** How often a secret was rotated on one node. A secret without an entry has version 1. */
export const secretVersionSchema = z.strictObject({
  version: z.int().min(1),
  /** The next version, accepted beside this one until it has proven itself. Tunnel peers alone. */
  candidate: z.int().min(2).optional(),
  rotated: z.iso.datetime(),
});
export type SecretVersion = z.infer<typeof secretVersionSchema>;

/** `versions.json` of an environment's records: what `holdfast rotate` writes. By node id, then by secret id (`wireguard-peer-<name>` for a peer's keys). */
export const versionsSchema = z.strictObject({
  format: z.literal("holdfast-versions/1"),
  nodes: z.record(nameSchema, z.record(z.string(), secretVersionSchema)),
});
export type Versions = z.infer<typeof versionsSchema>;
export const noVersions: Versions = { format: "holdfast-versions/1", nodes: {} };

/**
 * `marks.json` of an environment's records: what no other environment may have too, and what this one must go on having. Public.
 * Written by `holdfast`; every preview holds the stack against its own marks and those of all others.
 */
export const marksSchema = z.strictObject({
  format: z.literal("holdfast-marks/1"),
  /** Fingerprint of the passphrase (custody/fingerprint.ts). */
  passphrase: z.string().regex(/^[0-9a-f]{64}$/).optional(),
  /** The WireGuard public key of each node that has a tunnel, by node id. */
  tunnels: z.record(nameSchema, z.string()),
  /** What names each node's state, by node id: derived from a root of it that never changes. */
  states: z.record(nameSchema, z.string()).optional(),
  /** When each key was made or rotated: `environment`, `recovery`, `wallet`, `passphrase`, `ssh`; `tunnel-<id>`: when a node's tunnel, or without one its state, was first noted. */
  made: z.record(z.string(), z.iso.datetime()),
});
export type Marks = z.infer<typeof marksSchema>;
export const noMarks: Marks = { format: "holdfast-marks/1", tunnels: {}, made: {} };
