/** What a client may ask for. @see NIP-46, Methods/Commands */
export const clientMethods = [
  "connect", "get_public_key", "sign_event", "nip04_encrypt", "nip04_decrypt", "nip44_encrypt", "nip44_decrypt", "ping", "switch_relays", "logout",
] as const;
export type ClientMethod = (typeof clientMethods)[number];

/** Milliseconds since 1970. */
export type Time = number;
/** 64 hex digits, lower case. */
export type PublicKey = string;

/** A key as it rests. Its public key is known without opening it. */
export interface Key {
  readonly name: string;
  /** Absent only for an entry that was imported without one, until it is first opened. */
  readonly publicKey?: PublicKey;
  readonly at: "ncryptsec" | "legacy";
  readonly createdAt: Time;
}

/** How often a rule may be used: in all, or within any window that ends now. */
export interface Cap {
  readonly uses: number;
  /** Absent: for ever. */
  readonly windowSeconds?: number;
}

/** One thing that a policy allows. What no rule allows is refused. */
export interface Rule {
  readonly id: number;
  readonly method: ClientMethod;
  /** For `sign_event`: this kind alone. Absent: each. */
  readonly kind?: number;
  /** For encryption and decryption: with this one alone. Absent: each. */
  readonly counterparty?: PublicKey;
  readonly cap?: Cap;
}

export interface Policy {
  readonly id: number;
  readonly name: string;
  readonly createdAt: Time;
  readonly expiresAt?: Time;
  readonly rules: readonly Rule[];
}

/** An invitation: whoever brings its secret first becomes a client. */
export interface Token {
  readonly id: number;
  readonly keyName: string;
  readonly clientName: string;
  readonly policyId: number;
  readonly createdAt: Time;
  readonly updatedAt: Time;
  readonly expiresAt?: Time;
  /** Hex, until it is redeemed or withdrawn. */
  readonly secret?: string;
  readonly redeemedAt?: Time;
  readonly redeemedBy?: PublicKey;
}

/** Somebody who may ask a key for what a policy allows: a *key user* in nsecbunkerd's words. */
export interface Client {
  readonly id: number;
  readonly keyName: string;
  readonly publicKey: PublicKey;
  readonly name: string;
  /** Looked up at each request. Absent: nothing is allowed any more. */
  readonly policyId?: number;
  readonly createdAt: Time;
  readonly expiresAt?: Time;
  readonly lastUsedAt?: Time;
  readonly revokedAt?: Time;
}

/** What is written of each decision and each change. Never holds content: its hash alone. */
export interface Deed {
  /** `sign_event`, `create_new_key`, `unlock` …: what was asked for. */
  readonly action: string;
  /** Who asked: a client's or an admin's public key, `operator` (the control socket) or `bunker` (itself). */
  readonly who: string;
  readonly keyName?: string;
  /** The kind of an event that was signed, the counterparty of a decryption. */
  readonly kind?: number;
  readonly counterparty?: PublicKey;
  readonly outcome: "allowed" | "refused" | "failed";
  /** Why, in words without content. */
  readonly note?: string;
  /** SHA-256 of what was signed, encrypted or decrypted. */
  readonly contentHash?: string;
}

/** A deed in its chain. */
export interface AuditLine extends Deed {
  readonly sequence: number;
  readonly time: Time;
  /** The hash of the line before; 64 zeros in the first. */
  readonly previous: string;
  readonly hash: string;
}
