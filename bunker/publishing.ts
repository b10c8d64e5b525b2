import type { ClientRelays } from "./clientRelays.js";
import type { NostrEvent, Relays } from "./relays/relays.js";

export interface PublishingArgs {
  readonly relays: Relays;
  readonly clientRelays: ClientRelays;
  /** All relays that are to be listened to now. */
  readonly urls: () => readonly string[];
  readonly wait: (milliseconds: number) => Promise<void>;
  readonly now: () => number;
}

/** For one attempt, and for all of them: a wallet server's client gives up after 10 to 15 s. */
const ATTEMPT_MS = 5000;
const ALL_MS = 15_000;
const PAUSE_MS = 250;

/**
 * Publishes an answer: while no relay takes it, again, so that a relay which restarts right then costs a moment and no answer.
 *
 * `also` are a client's own relays: they are listened to from now on, and one of them has to be reached before anything is sent.
 *
 * @returns the relays that took it; none after 15 s
 */
export function createPublish({ relays, clientRelays, urls, wait, now }: PublishingArgs): (event: NostrEvent, also?: readonly string[]) => Promise<readonly string[]> {
  const isListening = (wanted: readonly string[]): boolean => relays.states().some(({ url, is }) => is === "listening" && wanted.some((one) => sameRelay(one, url)));
  return async (event, also) => {
    const end = now() + ALL_MS;
    if (also !== undefined) {
      clientRelays.add(event.tags.find(([name]) => name === "p")?.[1] ?? "", also);
      relays.use(urls());
      while (!isListening(also)) {
        if (now() >= end) return [];
        await wait(PAUSE_MS);
      }
    }
    for (;;) {
      const took = await relays.publish(event, Math.max(PAUSE_MS, Math.min(ATTEMPT_MS, end - now())));
      if (took.length > 0 || now() >= end) return took;
      await wait(PAUSE_MS);
    }
  };
}

const sameRelay = (one: string, other: string): boolean => new URL(one).href.replace(/\/$/, "") === new URL(other).href.replace(/\/$/, "");
