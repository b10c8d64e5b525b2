import { setImmediate } from "node:timers/promises";
import type { PublicKey } from "./model.js";
import type { NostrEvent } from "./relays/relays.js";
import { createStartQueue } from "./startQueue.js";

export interface RequestsArgs {
  /** The bunker's own: what is for it is an admin's. */
  readonly identity: PublicKey;
  /** Whoever is a client at the start. */
  readonly clients: ReadonlySet<PublicKey>;
  /** Serve one event. Never reject. */
  readonly client: (event: NostrEvent) => Promise<void>;
  readonly admin: (event: NostrEvent) => Promise<void>;
  /** A request that waited for the start had to go. */
  readonly dropped: () => void;
}

/** All that is asked for, and what of it is in hand. */
export interface Requests {
  /** An event from relays. Admins are served at any time, clients once `open` was called; until then they wait. */
  take(event: NostrEvent): void;
  /** Serves what waited, and from now on what comes. Resolves when all that waited is in hand. */
  open(): Promise<void>;
  /** Work that is to be finished before the end. */
  serve<T>(work: () => Promise<T>): Promise<T>;
  /** Takes nothing more. Resolves when nothing is in hand, or at the deadline. */
  close(deadlineMs: number): Promise<void>;
}

const ADMIN_KIND = 24_134;
/** Requests that waited, served without a look at anything else: each costs milliseconds. */
const AT_ONCE = 16;

export function createRequests({ identity, clients, client, admin, dropped }: RequestsArgs): Requests {
  const queue = createStartQueue(clients);
  const inHand = new Set<Promise<unknown>>();
  let state: "starting" | "open" | "closed" = "starting";

  const serve = <T>(work: () => Promise<T>): Promise<T> => {
    const done = work();
    inHand.add(done);
    const ended = (): void => { inHand.delete(done); };
    done.then(ended, ended);
    return done;
  };
  return {
    serve,
    take: (event) => {
      if (state === "closed") return;
      if (event.kind === ADMIN_KIND || event.tags.some(([name, value]) => name === "p" && value === identity)) void serve(() => admin(event));
      else if (state === "open") void serve(() => client(event));
      else if (queue.add(event) === "dropped") dropped();
    },
    open: async () => {
      if (state === "starting") state = "open";
      for (const [index, event] of queue.take().entries()) {
        if (index % AT_ONCE === AT_ONCE - 1) await setImmediate();
        void serve(() => client(event));
      }
    },
    close: async (deadlineMs) => {
      state = "closed";
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<void>((resolve) => { timer = setTimeout(resolve, deadlineMs); });
      await Promise.race([Promise.allSettled(inHand), late]);
      clearTimeout(timer);
    },
  };
}
