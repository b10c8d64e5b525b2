import type { Keyring } from "../keyring/keyring.js";
import type { ClientMethod, PublicKey, Time } from "../model.js";
import type { NostrEvent } from "../relays/relays.js";
import type { Store } from "../store/store.js";

/** A client's request, decrypted. */
export interface Request {
  readonly id: string;
  readonly method: string;
  readonly params: readonly string[];
}

/** Why nothing was answered, or what was. For metrics. */
export type Outcome = "answered" | "refused" | "failed" | "malformed" | "stale" | "future" | "replayed" | "unknown-key" | "locked-key" | "rate-limited";

export interface SignerArgs {
  readonly store: Store;
  readonly keyring: Keyring;
  /** What `switch_relays` answers and `bunker://` names. */
  readonly relays: () => readonly string[];
  readonly publish: (event: NostrEvent) => Promise<readonly string[]>;
  readonly now: () => Time;
  readonly log: (level: "info" | "warn" | "error", line: string) => void;
}

/** Serves clients' requests (kind 24133). */
export interface Signer {
  /** Never throws, whatever the event is. Its id and signature are verified already. */
  handle(event: NostrEvent): Promise<Outcome>;
  /**
   * Answers a `nostrconnect://` of a client, which becomes a client of the key under a policy.
   *
   * @throws when the text is none, or the key is locked
   */
  connect(uri: string, keyName: string, policyId: number): Promise<{ readonly client: PublicKey; readonly relays: readonly string[] }>;
}

export type { ClientMethod };
