import type { Time } from "../model.js";

/** So many at once, and so many in each second for as long as one likes. */
export interface Rate {
  readonly burst: number;
  readonly perSecond: number;
}

export interface Rates {
  /** For each client. */
  readonly client: Rate;
  /** For each sender that is no client (or no longer one). */
  readonly stranger: Rate;
  /** For all of them together: fresh keys cost nothing. */
  readonly strangers: Rate;
}

export const usualRates: Rates = {
  client: { burst: 200, perSecond: 50 },
  stranger: { burst: 10, perSecond: 1 },
  strangers: { burst: 50, perSecond: 10 },
};

/** `tell`: too many, and there is still time to say so. `drop`: not even that. */
export type Leave = "go" | "tell" | "drop";

export interface RateLimit {
  take(sender: string, is: "client" | "stranger", now: Time): Leave;
  /** What was taken last by this sender did no work. */
  giveBack(sender: string, is: "client" | "stranger"): void;
  /** How many senders are remembered. */
  size(): number;
}

interface Bucket {
  tokens: number;
  filledAt: Time;
}

/** A client that is over its rate hears of it this often; a stranger never does. */
const telling: Rate = { burst: 20, perSecond: 5 };

/**
 * Token buckets, one for each sender, and one more for all strangers.
 *
 * @param remembered buckets of clients, and as many of strangers: who was silent the longest is forgotten first
 */
export function createRateLimit(rates: Rates = usualRates, remembered = 4096): RateLimit {
  const clients = new Map<string, Bucket>();
  const tellings = new Map<string, Bucket>();
  const strangers = new Map<string, Bucket>();
  const together = new Map<string, Bucket>();

  return {
    take(sender, is, now) {
      if (is === "client") {
        if (draw(clients, sender, rates.client, now)) return "go";
        return draw(tellings, sender, telling, now) ? "tell" : "drop";
      }
      return draw(strangers, sender, rates.stranger, now) && draw(together, "all", rates.strangers, now) ? "go" : "drop";
    },
    giveBack(sender, is) {
      const back = is === "client" ? [clients.get(sender)] : [strangers.get(sender), together.get("all")];
      for (const bucket of back) if (bucket !== undefined) bucket.tokens += 1;
    },
    size: () => clients.size + tellings.size + strangers.size,
  };

  function draw(buckets: Map<string, Bucket>, name: string, rate: Rate, now: Time): boolean {
    const bucket = buckets.get(name) ?? { tokens: rate.burst, filledAt: now };
    buckets.delete(name);
    buckets.set(name, bucket);
    if (buckets.size > remembered) buckets.delete(buckets.keys().next().value ?? name);

    const seconds = Math.max(0, now - bucket.filledAt) / 1000;
    bucket.tokens = Math.min(rate.burst, bucket.tokens + seconds * rate.perSecond);
    bucket.filledAt = now;
    if (bucket.tokens < 1) return false;
    bucket.tokens -= 1;
    return true;
  }
}
