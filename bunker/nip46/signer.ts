import { standing } from "../grants/decide.js";
import { createRateLimit, usualRates, type Rates } from "../grants/rate.js";
import { createRefusals } from "../grants/refusals.js";
import type { Keyring, OpenKey } from "../keyring/keyring.js";
import type { PublicKey, Time } from "../model.js";
import type { NostrEvent } from "../relays/relays.js";
import type { Store } from "../store/store.js";
import { answer, type Answer, type Reply } from "./answer.js";
import { acceptOffer } from "./acceptOffer.js";
import { createEnvelope, requestKind } from "./envelope.js";
import { parseRequest } from "./request.js";

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
  /** To our relays, and for the answer to a `nostrconnect://` to the client's `also`: from then on it must be heard there too. @returns the relays that took it, after a deadline at the latest */
  readonly publish: (event: NostrEvent, also?: readonly string[]) => Promise<readonly string[]>;
  readonly now: () => Time;
  readonly log: (level: "info" | "warn" | "error", line: string) => void;
  /** `usualRates` unless given. */
  readonly rates?: Rates;
}

/** Serves clients' requests (kind 24133). */
export interface Signer {
  /** Never throws, whatever the event is. Its id and signature are verified already. */
  handle(event: NostrEvent): Promise<Outcome>;
  /**
   * Answers a `nostrconnect://` of a client, which becomes a client of the key under a policy.
   *
   * @returns the relays that the client named: it is to be listened to there as well, until it has switched to ours
   * @throws when the text is none, the key is locked, there is no such policy, or no relay took the answer
   */
  connect(uri: string, keyName: string, policyId: number): Promise<{ readonly client: PublicKey; readonly relays: readonly string[] }>;
  /** Writes what was only counted so far and forgets what is too old to come again. `handle` does it once a minute; for a quiet bunker and at the end, the caller. Never throws. */
  sweep(): void;
}

/** Requests older or newer than this are not answered; their ids are remembered for as long. Milliseconds. */
const oldest = 10 * 60_000;
const newest = 2 * 60_000;

const minute = 60_000;

/**
 * Serves every key of a keyring. In this order, so that each check is cheaper than what it guards: freshness, key, rate, envelope, form; then, in one
 * transaction and without waiting, replay, decision, deed, record; and only then the answer. So a replay costs one decryption, but a flood of garbage no write to the disk.
 */
export function createSigner(args: SignerArgs): Signer {
  const { store, keyring, now } = args;
  const envelope = createEnvelope();
  const limit = createRateLimit(args.rates ?? usualRates);
  const refusals = createRefusals();
  let sweptAt = now();
  keyring.onChange(envelope.forget);

  return {
    async handle(event) {
      try {
        return await serve(event, now());
      } catch (fault) {
        args.log("error", `a request could not be handled: ${inWords(fault)}`);
        return "failed";
      }
    },
    connect: (uri, keyName, policyId) => acceptOffer({ ...args, envelope }, uri, keyName, policyId),
    sweep() {
      try {
        sweep(Infinity);
      } catch (fault) {
        args.log("error", `the number of refused requests could not be written: ${inWords(fault)}`);
      }
    },
  };

  async function serve(event: NostrEvent, at: Time): Promise<Outcome> {
    if (!isRequestEvent(event)) return "malformed";
    const age = at - event.created_at * 1000;
    if (age > oldest) return "stale";
    if (age < -newest) return "future";

    const publicKey = event.tags.find(([name]) => name === "p")?.[1] ?? "";
    const key = keyring.find(publicKey);
    if (key === undefined) return keyring.names().some((one) => one.publicKey === publicKey) ? "locked-key" : "unknown-key";

    if (at - sweptAt >= minute) sweep(at);
    const is = standing(store.clients.find(key.name, event.pubkey), at) === "live" ? "client" : "stranger";
    const sender = `${event.pubkey} ${key.publicKey}`;
    const leave = limit.take(sender, is, at);
    if (leave === "drop") return "rate-limited";

    const text = envelope.open(event, key);
    const parsed = text === undefined ? undefined : parseRequest(text);
    if (parsed === undefined) return "malformed";
    if ("fault" in parsed) {
      if (is === "client") await send(key, event.pubkey, { id: parsed.id, error: parsed.fault });
      return "malformed";
    }
    if (leave === "tell") {
      await send(key, event.pubkey, { id: parsed.request.id, error: "too many requests: this one was left; ask fewer and try again in a few seconds" });
      return "rate-limited";
    }

    const answered = answerOnce(parsed.request, event, key, at);
    if (answered === "seen") {
      limit.giveBack(sender, is);
      return "replayed";
    }
    const took = await send(key, event.pubkey, answered.reply);
    if (took.length > 0) return answered.outcome;
    args.log("warn", `no relay took the answer to a ${answered.deed.action} with key ${key.name}`);
    if (answered.deed.outcome === "allowed") store.audit.append({ ...answered.deed, outcome: "failed", note: "allowed and done, but no relay took the answer" }, now());
    return "failed";
  }

  function answerOnce(request: Request, event: NostrEvent, key: OpenKey, at: Time): Answer | "seen" {
    try {
      return store.atomically(() => {
        if (store.replays.remember(event.id, event.created_at * 1000 + oldest + 1000) === "seen") return "seen";
        const client = store.clients.find(key.name, event.pubkey);
        const session = { key, sender: event.pubkey, client, store, relays: args.relays, conversationKey: envelope.conversationKey, now: at };
        return answer(request, session, refusals, (line) => args.log("error", line));
      });
    } catch (fault) {
      args.log("error", `the records of a request could not be written: ${inWords(fault)}`);
      return {
        reply: { id: request.id, error: "the bunker could not write its records, so it did nothing; its operator finds the cause in its log" },
        outcome: "failed",
        deed: { action: request.method, who: event.pubkey, keyName: key.name, outcome: "failed" },
      };
    }
  }

  async function send(key: OpenKey, to: PublicKey, reply: Reply): Promise<readonly string[]> {
    const event = envelope.seal(JSON.stringify(reply), key, to, now());
    try {
      return await args.publish(event);
    } catch (fault) {
      args.log("warn", `an answer could not be published: ${inWords(fault)}`);
      return [];
    }
  }

  /** @param upTo what was counted in minutes that were over then is written */
  function sweep(upTo: Time): void {
    const at = now();
    sweptAt = at;
    store.atomically(() => {
      for (const sum of refusals.sums(upTo)) store.audit.append(sum, at);
      store.replays.forget(at);
    });
  }
}

/** Whoever verified the signature did this too; what comes here otherwise must not matter. */
function isRequestEvent(event: unknown): event is NostrEvent {
  if (typeof event !== "object" || event === null) return false;
  const { kind, id, pubkey, content, created_at, tags } = event as { readonly [field in keyof NostrEvent]?: unknown };
  return kind === requestKind && typeof id === "string" && typeof pubkey === "string" && typeof content === "string"
    && Number.isSafeInteger(created_at) && Array.isArray(tags) && tags.every((tag) => Array.isArray(tag));
}

/** Never more than a line, and never what a client sent: messages of ours and of SQLite's alone come here. */
function inWords(fault: unknown): string {
  return fault instanceof Error ? `${fault.name}: ${fault.message.split("\n", 1)[0]}`.slice(0, 200) : typeof fault;
}
