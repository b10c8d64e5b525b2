import type { Service } from "../../formats/services.js";

/**
 * What rotating a secret does. `safe`: nothing notices. `restarts`: its consumers restart once.
 * `never`: the value is part of something that exists already (a wallet, a repository), so its root is protected.
 */
export type Rotation = "safe" | "restarts" | "never";

/** One file of a node's bundle. */
export interface SecretEntry {
  /** Immutable: part of what the value is derived from. */
  readonly id: string;
  readonly file: string;
  readonly owner: string;
  readonly group: string;
  /** Four octal digits. */
  readonly mode: string;
  /** systemd units that read it. Those that a node does not have are left out by its agent. */
  readonly consumers: readonly string[];
  readonly rotation: Rotation;
  /** What the operator has to know or to do, in words. Of one that never rotates: why, and what to do instead. */
  readonly rotating?: string;
  /** It is in a node's bundle when one of these is on the node. */
  readonly services: readonly Service[];
}

/** A secret that derives from a root in state. */
export interface DerivedSecret extends SecretEntry {
  readonly kind: "derived";
  /** The secret whose root and version it shares; its own when absent. */
  readonly rootOf?: string;
  /** @param id names node, secret and version */
  readonly value: (root: string, id: string) => string;
}

/** A certificate of one of the keys. Public, but delivered with the secrets, where its daemon looks for it. */
export interface CertificateSecret extends SecretEntry {
  readonly kind: "certificate";
  /** The id of the key. */
  readonly of: string;
  readonly organization: string;
  /** `tunnel`: the node's address inside its tunnel too, where it has one. */
  readonly reached: "loopback" | "tunnel";
}

/** A secret that others gave us: nothing derives it. */
export interface GivenSecret extends SecretEntry {
  readonly kind: "given";
}

export type Secret = DerivedSecret | CertificateSecret | GivenSecret;

/** A file that its daemon's own user alone reads, and root. */
export const ownedBy = (owner: string, group = owner): Pick<SecretEntry, "owner" | "group" | "mode"> => ({ owner, group, mode: "0440" });

/** A file that systemd, or root itself, reads for its consumer. */
export const rootsOwn: Pick<SecretEntry, "owner" | "group" | "mode"> = { owner: "root", group: "root", mode: "0400" };
