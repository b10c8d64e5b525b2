import type { OpenKey } from "../keyring/keyring.js";
import type { Client, PublicKey, Time } from "../model.js";
import type { Store } from "../store/store.js";
import type { Envelope } from "./envelope.js";

/** Everything that a method may know: who asks which key, and the world around. */
export interface Session {
  readonly key: OpenKey;
  readonly sender: PublicKey;
  readonly client: Client | undefined;
  readonly store: Store;
  readonly relays: () => readonly string[];
  readonly conversationKey: Envelope["conversationKey"];
  readonly now: Time;
}

/** A request that was understood: what it is about, for the decision, and how it is done. */
export interface Task {
  readonly kind?: number;
  readonly counterparty?: PublicKey;
  /** Who asks, where that became known by reading the request: an invitation was redeemed. */
  readonly client?: Client;
  /** Says better than the decision why it was refused. */
  readonly refusal?: string;
  /** Does it, at once. @throws Unusable when its parameters turn out to be no good */
  perform(): Done;
}

export interface Done {
  readonly result: string;
  /** SHA-256, for the audit. */
  readonly contentHash?: string;
  readonly note?: string;
}

/** Understands the parameters. @throws Unusable */
export type Method = (params: readonly string[], session: Session) => Task;

/** The request's own fault; the message is for the client and holds none of its content. */
export class Unusable extends Error {}
