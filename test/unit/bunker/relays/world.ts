import { finalizeEvent, generateSecretKey, getPublicKey, type NostrEvent } from "nostr-tools/pure";
import { onTestFinished, vi } from "vitest";
import { superviseRelays } from "../../../../bunker/relays/supervise.js";
import type { Relays, RelaysArgs } from "../../../../bunker/relays/relays.js";
import { startRelay, type TestRelay } from "../../../nostr/relay.js";

type Counted = Parameters<RelaysArgs["count"]>[0];

export interface Listener {
  readonly relays: Relays;
  readonly events: NostrEvent[];
  readonly lines: string[];
  /** To whom clients write. */
  readonly key: string;
  readonly identity: string;
  counted(what: Counted): number;
  is(url: string): string | undefined;
}

/** Times for tests: retries within 200 ms, pings every 100 ms. */
export const quick = { connect: 300, eose: 300, ping: 100, pong: 150, retry: 200, refused: 400, stable: 500, grace: 500 };

/** Started already; closed with the test. */
export function listen(urls: readonly string[], changed: Partial<RelaysArgs> = {}): Listener {
  const secretKey = generateSecretKey();
  const key = getPublicKey(generateSecretKey());
  const counts = new Map<Counted, number>();
  const events: NostrEvent[] = [];
  const lines: string[] = [];
  const relays = superviseRelays({
    urls,
    filters: () => [{ kinds: [24_133], "#p": [key] }],
    onEvent: (event) => events.push(event),
    secretKey,
    count: (what) => counts.set(what, (counts.get(what) ?? 0) + 1),
    log: (_, line) => lines.push(line),
    timing: quick,
    ...changed,
  });
  relays.start();
  onTestFinished(() => relays.close());
  return { relays, events, lines, key, identity: getPublicKey(secretKey), counted: (what) => counts.get(what) ?? 0, is: (url) => relays.states().find((state) => state.url === url)?.is };
}

/** Stopped with the test. */
export async function relay(options?: Parameters<typeof startRelay>[0]): Promise<TestRelay> {
  const started = await startRelay(options);
  onTestFinished(() => started.stop());
  return started;
}

const client = generateSecretKey();
let written = 0;

/** A client's event; each is another one. */
export function request(to: string, changed: { readonly created_at?: number; readonly content?: string } = {}): NostrEvent {
  return finalizeEvent({ kind: 24_133, created_at: Math.floor(Date.now() / 1_000), tags: [["p", to]], content: `request ${written++}`, ...changed }, client);
}

/** Until it does not throw any more. */
export const eventually = <T>(check: () => T, timeout = 5_000): Promise<T> => vi.waitFor(check, { timeout, interval: 10 });
