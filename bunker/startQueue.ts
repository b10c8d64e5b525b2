import type { PublicKey } from "./model.js";
import type { NostrEvent } from "./relays/relays.js";

/** Keeps clients' requests while keys are being unlocked, so that none is answered too early and none is lost. */
export interface StartQueue {
  /** @returns `dropped` when an older one, or this one, had to go */
  add(event: NostrEvent): "kept" | "dropped";
  /** Takes all out: those of known clients first, each in the order in which they came. */
  take(): NostrEvent[];
}

/** Characters of content that are kept at most: what strangers send cannot push out what clients send. */
const MOST = { client: 32_000_000, stranger: 4_000_000 };
/** What an event costs beside its content. */
const OWN = 1000;

/** @param clients whoever is a client of any key at the start */
export function createStartQueue(clients: ReadonlySet<PublicKey>): StartQueue {
  const queues = { client: { events: [] as NostrEvent[], size: 0 }, stranger: { events: [] as NostrEvent[], size: 0 } };
  const cost = (event: NostrEvent): number => event.content.length + OWN;
  return {
    add: (event) => {
      const from = clients.has(event.pubkey) ? "client" : "stranger";
      const queue = queues[from];
      queue.events.push(event);
      queue.size += cost(event);
      if (queue.size <= MOST[from]) return "kept";
      while (queue.size > MOST[from]) queue.size -= cost(queue.events.shift()!);
      return "dropped";
    },
    take: () => {
      const all = [...queues.client.events, ...queues.stranger.events];
      for (const queue of Object.values(queues)) [queue.events, queue.size] = [[], 0];
      return all;
    },
  };
}
