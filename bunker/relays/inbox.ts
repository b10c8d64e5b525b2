import { validateEvent, verifyEvent, type NostrEvent } from "nostr-tools/pure";
import type { RelaysArgs } from "./relays.js";

/**
 * Where the events of all relays come together: each is delivered once, and none before its id and signature are verified (1.4 ms of a core, measured).
 *
 * Relays take turns, one event each, and the event loop turns after a few milliseconds of it. A relay has an allowance; each message costs, a false signature costs most. One in debt
 * is not read from, so that TCP holds it back, and what it has already sent waits: garbage costs the relay that brings it, and no other.
 */
export interface Inbox {
  lane(hold: { readonly pause: () => void; readonly resume: () => void }): Lane;
  close(): void;
}

/** What one relay brings. */
export interface Lane {
  /** @param bytes of the message it came in */
  put(event: unknown, bytes: number, isAskedFor: (event: NostrEvent) => boolean): void;
  /** For a message that is no event. */
  charge(bytes: number): void;
  /** Whether a new connection of this relay has to be paused at once. */
  held(): "no" | "yes";
  /** What waits is forgotten. */
  close(): void;
}

export interface InboxArgs {
  readonly onEvent: RelaysArgs["onEvent"];
  readonly count: RelaysArgs["count"];
  readonly log: RelaysArgs["log"];
  /** How long an id is remembered, in milliseconds. */
  readonly memory: number;
  readonly verify?: (event: NostrEvent) => boolean;
}

/** Of the allowance, for each second and at once. */
const ALLOWANCE = 4_000;
const COST = { message: 1, bytesOfOne: 1_024, verification: 4, badSignature: 36 };
const WAITING = { pauseAt: { events: 256, bytes: 1_048_576 }, dropAt: { events: 2_048, bytes: 8_388_608 } };
/** Milliseconds of verification at a stretch. */
const SLICE = 8;
const IDS_REMEMBERED = 100_000;

interface LaneState {
  readonly waiting: { readonly event: NostrEvent; readonly bytes: number }[];
  bytes: number;
  balance: number;
  balanceAt: number;
  held: "no" | "yes";
  timer: NodeJS.Timeout | undefined;
  readonly pause: () => void;
  readonly resume: () => void;
}

export function createInbox(args: InboxArgs): Inbox {
  const verify = args.verify ?? verifyEvent;
  const seen = new Map<string, number>();
  const lanes: LaneState[] = [];
  let turn = 0;
  let running: NodeJS.Immediate | undefined;

  const remember = (id: string): void => {
    const now = Date.now();
    seen.set(id, now);
    for (const [oldest, at] of seen) {
      if (seen.size <= IDS_REMEMBERED && at >= now - args.memory && at <= now) break;
      seen.delete(oldest);
    }
  };
  const spend = (lane: LaneState, cost: number): void => {
    const now = performance.now();
    lane.balance = Math.min(ALLOWANCE, lane.balance + (now - lane.balanceAt) * ALLOWANCE / 1_000) - cost;
    lane.balanceAt = now;
    review(lane);
  };
  const review = (lane: LaneState): void => {
    const full = lane.waiting.length > WAITING.pauseAt.events || lane.bytes > WAITING.pauseAt.bytes;
    if (lane.balance < 0 && lane.timer === undefined) {
      lane.timer = setTimeout(() => {
        lane.timer = undefined;
        spend(lane, 0);
        run();
      }, Math.ceil(-lane.balance * 1_000 / ALLOWANCE) + 1);
    }
    const held = full || lane.balance < 0 ? "yes" : "no";
    if (held === lane.held) return;
    lane.held = held;
    if (held === "yes") lane.pause();
    else lane.resume();
  };
  /** Takes one event of the next relay whose turn it is. */
  const next = (): { readonly lane: LaneState; readonly event: NostrEvent } | undefined => {
    for (let tried = 0; tried < lanes.length; tried++) {
      const lane = lanes[turn++ % lanes.length]!;
      if (lane.balance < 0) continue;
      const first = lane.waiting.shift();
      if (first === undefined) continue;
      lane.bytes -= first.bytes;
      return { lane, event: first.event };
    }
    return undefined;
  };
  const deliver = (lane: LaneState, event: NostrEvent): void => {
    if (seen.has(event.id)) {
      args.count("duplicate");
      return review(lane);
    }
    if (!verify(event)) {
      args.count("bad-signature");
      return spend(lane, COST.verification + COST.badSignature);
    }
    spend(lane, COST.verification);
    // Only now: a forged copy that came first must not keep the real one out.
    remember(event.id);
    try {
      args.onEvent(event);
    } catch (error) {
      args.log("error", `an event could not be handled: ${error instanceof Error ? error.name : "unknown failure"}`);
    }
  };
  const run = (): void => {
    running ??= setImmediate(() => {
      running = undefined;
      const until = performance.now() + SLICE;
      while (performance.now() < until) {
        const taken = next();
        if (taken === undefined) return;
        deliver(taken.lane, taken.event);
      }
      run();
    });
  };

  return {
    lane: (hold) => {
      const lane: LaneState = { waiting: [], bytes: 0, balance: ALLOWANCE, balanceAt: performance.now(), held: "no", timer: undefined, ...hold };
      lanes.push(lane);
      return {
        charge: (bytes) => spend(lane, COST.message + bytes / COST.bytesOfOne),
        put: (raw, bytes, isAskedFor) => {
          spend(lane, COST.message + bytes / COST.bytesOfOne);
          args.count("received");
          const event = shaped(raw);
          if (event === undefined || !isAskedFor(event)) return args.count("malformed");
          if (seen.has(event.id)) return args.count("duplicate");
          if (lane.waiting.length >= WAITING.dropAt.events || lane.bytes + bytes > WAITING.dropAt.bytes) return args.count("dropped");
          lane.waiting.push({ event, bytes });
          lane.bytes += bytes;
          review(lane);
          run();
        },
        held: () => lane.held,
        close: () => {
          clearTimeout(lane.timer);
          const at = lanes.indexOf(lane);
          if (at !== -1) lanes.splice(at, 1);
        },
      };
    },
    close: () => {
      clearImmediate(running);
      for (const lane of lanes) clearTimeout(lane.timer);
      lanes.length = 0;
    },
  };
}

/** The event and nothing beside it, or nothing. */
function shaped(raw: unknown): NostrEvent | undefined {
  if (!validateEvent(raw)) return undefined;
  const { id, sig } = raw as Partial<NostrEvent>;
  const { pubkey, created_at, kind, tags, content } = raw;
  if (typeof id !== "string" || !/^[0-9a-f]{64}$/.test(id) || typeof sig !== "string" || !/^[0-9a-f]{128}$/.test(sig)) return undefined;
  if (!Number.isSafeInteger(created_at) || created_at < 0 || !Number.isInteger(kind) || kind < 0 || kind > 65_535) return undefined;
  return { id, pubkey, created_at, kind, tags, content, sig };
}
