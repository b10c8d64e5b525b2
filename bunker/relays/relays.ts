import type { Filter } from "nostr-tools/filter";
import type { NostrEvent } from "nostr-tools/pure";

export type { Filter, NostrEvent };

/** One relay as the supervisor sees it. */
export interface RelayState {
  readonly url: string;
  /** `listening`: its subscription has seen EOSE and its last probe came back. */
  readonly is: "listening" | "connecting" | "waiting" | "refused";
  /** Milliseconds since 1970 of the last thing that proves it hears and is heard. */
  readonly provenAt?: number;
  /** Why it is not listening, in the relay's own words or ours. */
  readonly reason?: string;
  readonly attempts: number;
}

/** Many relays as one: what any of them brings is delivered once, and each is supervised by itself. */
export interface Relays {
  /** Connects; does not wait. */
  start(): void;
  /** Resolves when one relay has seen EOSE, and the others too or a grace of 10 s is over. @throws when none has by the deadline */
  ready(deadlineMs: number): Promise<void>;
  /** Subscribes everywhere to what `filters` says now. Resolves when every listening relay has answered with EOSE, or at the deadline. */
  resubscribe(deadlineMs: number): Promise<void>;
  /** Resolves with the relays that took it, once one has or all have answered or the deadline is over. An empty list is the caller's business. */
  publish(event: NostrEvent, deadlineMs: number): Promise<readonly string[]>;
  /** An event from here to here through each listening relay: each that does not bring it in time is torn down and connected anew. @returns the relays that brought it */
  probe(deadlineMs: number): Promise<readonly string[]>;
  /** Takes effect at once: new ones are connected, others left. */
  use(urls: readonly string[]): void;
  states(): readonly RelayState[];
  close(): Promise<void>;
}

export interface RelaysArgs {
  readonly urls: readonly string[];
  /** Asked for at each subscription, so that keys that came since are in it. */
  readonly filters: () => Filter[];
  /** Each event once, whatever number of relays brought it; its size is bounded, its id and signature are verified, nothing else of it. */
  readonly onEvent: (event: NostrEvent) => void;
  /** Signs probes and answers AUTH (NIP-42): the bunker's own identity. */
  readonly secretKey: Uint8Array;
  /** `socks5h://127.0.0.1:9050`: every connection goes through it. */
  readonly proxy?: string;
  readonly count: (what: "received" | "duplicate" | "malformed" | "oversized" | "bad-signature" | "dropped" | "reconnect" | "probe-lost") => void;
  readonly log: (level: "info" | "warn" | "error", line: string) => void;
  /** For tests; what is not named is as `timing` says. */
  readonly timing?: Partial<Timing>;
}

/** All in milliseconds. */
export interface Timing {
  /** From the first packet to the WebSocket's upgrade; the proxy's part is in it. */
  readonly connect: number;
  /** From a subscription to its EOSE. */
  readonly eose: number;
  readonly ping: number;
  /** From a ping to anything that the relay says. */
  readonly pong: number;
  /** No attempt begins later than this after the one before. */
  readonly retry: number;
  /** How long a relay is left in peace that said `restricted` or `blocked`. */
  readonly refused: number;
  /** A connection that served so long was a good one: the next attempt comes at once. */
  readonly stable: number;
  /** What `ready` waits for the others, from the start. */
  readonly grace: number;
  /** How far a subscription reaches back behind the last proof: as far as a client's event may be late and its clock slow. */
  readonly lookback: number;
}
