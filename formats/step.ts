import { z } from "zod";

/** How a step reaches its host. Holds no secret: keys stay in files and agents that OpenSSH opens itself. */
export const connectionSchema = z.strictObject({
  user: z.string().min(1),
  address: z.string().min(1),
  port: z.int().min(1).max(65535),
  /** The pinned key as in a `.pub` file: type and base64. */
  hostKey: z.string(),
  /** A private key file, relative to the project; OpenSSH's own defaults and agent when absent. */
  identityFile: z.string().optional(),
});
export type Connection = z.infer<typeof connectionSchema>;

/** What the contact step learns of a host. */
export const contactSchema = z.strictObject({
  /** The host's own age recipient: bundles are sealed for it. */
  recipient: z.string().startsWith("age1"),
  machineId: z.string(),
});
export type Contact = z.infer<typeof contactSchema>;

/** What a delivery brought. The activation that follows installs it. */
export const deliverySchema = z.strictObject({
  version: z.int(),
  /** Names of files whose content, owner or mode will change. */
  changed: z.array(z.string()),
  /** The version that the host ran with then; null before its first. */
  replaces: z.int().nullable().default(null),
});
export type Delivery = z.infer<typeof deliverySchema>;

/** How an activation ended, as the host tells it. */
export const activationSchema = z.strictObject({
  /** `committed`: the new system is the boot default. `rolled-back`: the previous one runs. `pending`: the watchdog waits for the proof. */
  state: z.enum(["pending", "committed", "rolled-back"]),
  toplevel: z.string(),
  previous: z.string(),
  /** Of the secrets that go with `toplevel`; absent where the host has none. */
  secretsVersion: z.int().optional(),
  /** Units that were restarted because a secret that they read has changed. */
  restarted: z.array(z.string()).optional(),
  /** Why it was rolled back. */
  reason: z.string().optional(),
});
export type Activation = z.infer<typeof activationSchema>;

/** Bundles that a host refused for being older than what it has had, and the operator's word about one of them. Versions, as in a bundle. */
export const olderBundleSchema = z.strictObject({
  /** The one that was refused last. */
  refused: z.int().nullable(),
  /** The highest that the node has had, as far as the host knows. */
  highest: z.int().nullable(),
  accepted: z.int().nullable(),
});
export type OlderBundle = z.infer<typeof olderBundleSchema>;

/** What the agent sees of its own host, for the probes of an activation and for `status`. */
export const probeSchema = z.strictObject({
  system: z.string(),
  failedUnits: z.array(z.string()),
  /** Whether what is loaded is the running system's ruleset: nftables' table carries its comment; iptables' chain has its rules, and opens no other port to everyone. */
  firewallLoaded: z.boolean(),
  /** Null where there is no interface. */
  tunnel: z.strictObject({
    publicKey: z.string(),
    port: z.int(),
    peers: z.int(),
    lastHandshake: z.int().nullable(),
    /** Seconds since 1970 of each peer's last handshake, by public key; 0 when there was none. */
    handshakes: z.record(z.string(), z.int()).default({}),
  }).nullable(),
  secretsVersion: z.int().nullable(),
});
export type Probe = z.infer<typeof probeSchema>;
