import type { Timing } from "./relays.js";

/**
 * A relay that comes back must be served within 5 s: no attempt begins more than `retry` after the one before, and a direct connection has no longer than that to be made, so that
 * a host which swallowed the first packets is asked anew. Through Tor a circuit takes longer.
 */
export function timingFor(way: "direct" | "proxied", changed: Partial<Timing> = {}): Timing {
  return {
    connect: way === "direct" ? 4_000 : 20_000,
    eose: 10_000,
    ping: 20_000,
    pong: 10_000,
    retry: 4_000,
    refused: 60_000,
    stable: 10_000,
    grace: 10_000,
    lookback: 600_000,
    ...changed,
  };
}

const FIRST_RETRY = 250;

/**
 * How long to wait before the next attempt: exponential with full jitter, counted from the beginning of the last one.
 *
 * @param failed attempts since the last connection that served well
 * @param sinceAttempt milliseconds since the last attempt began
 * @param random within [0, 1)
 */
export function backoff(timing: Timing, failed: number, sinceAttempt: number, random: () => number = Math.random): number {
  const ceiling = Math.min(timing.retry, FIRST_RETRY * 2 ** Math.min(failed, 16));
  return Math.max(random() * Math.min(FIRST_RETRY, timing.retry), random() * ceiling - sinceAttempt);
}
