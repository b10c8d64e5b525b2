import type { Agent } from "node:http";
import { makeAuthEvent } from "nostr-tools/nip42";
import { finalizeEvent, type NostrEvent } from "nostr-tools/pure";
import type { Inbox } from "./inbox.js";
import { meaning, parseMessage, type RelayMessage } from "./message.js";
import { createOutbox, type Answer } from "./outbox.js";
import type { Probes } from "./probe.js";
import type { Filter, RelaysArgs, RelayState, Timing } from "./relays.js";
import { round, type Round } from "./subscription.js";
import { backoff } from "./timing.js";
import { openWire, type Wire } from "./wire.js";

/** One relay, connected again and again until it is left. Nothing that it does is thrown. */
export interface Relay {
  state(): RelayState;
  /** Resolves when the relay has answered with EOSE, or the connection is lost; at once when there is none that listens. */
  resubscribe(): Promise<void>;
  publish(event: NostrEvent, deadlineMs: number): Promise<Answer>;
  /** `unknown`: it is not listening, or says that it is asked too often. */
  probe(deadlineMs: number): Promise<"brought" | "lost" | "unknown">;
  leave(): void;
}

export interface RelayArgs extends Pick<RelaysArgs, "secretKey" | "count" | "log"> {
  readonly url: string;
  readonly filters: () => Filter[];
  readonly probes: Probes;
  readonly inbox: Inbox;
  readonly timing: Timing;
  readonly agent?: Agent;
  /** Its state is another one now. */
  readonly onChange: () => void;
}

/** Challenges that are answered on one connection; each costs a signature. */
const CHALLENGES = 5;

/** Connects at once, and waits for nothing. */
export function superviseRelay(args: RelayArgs): Relay {
  const { url, timing, probes, count, log } = args;
  const outbox = createOutbox();
  const probing = new Map<string, (result: "brought" | "lost" | "unknown") => void>();
  const startedAt = Date.now();
  let is: RelayState["is"] = "connecting";
  let reason: string | undefined;
  let provenAt: number | undefined;
  let attempts = 0;
  let attemptAt = 0;
  let listeningSince: number | undefined;
  let left: "no" | "yes" = "no";
  let wire: Wire | undefined;
  /** Of the next attempt, the next subscription or the EOSE that is awaited. */
  let timer: NodeJS.Timeout | undefined;
  let rounds = 0;
  let current: Round | undefined;
  let former: readonly string[] = [];
  let answering: (() => void)[] = [];
  let authentication: { challenges: number; id?: string; is: "unasked" | "asked" | "done" } = { challenges: 0, is: "unasked" };

  const lane = args.inbox.lane({ pause: () => wire?.pause(), resume: () => wire?.resume() });
  const send = (...message: readonly unknown[]): void => wire?.send(JSON.stringify(message));
  const sendUnanswered = (): void => outbox.unanswered().forEach((text) => wire?.send(text));
  const become = (next: RelayState["is"], why?: string): void => {
    const before = is;
    is = next;
    reason = why;
    if (next === "listening" && before !== "listening") log("info", `relay ${url}: listening`);
    // Of many failures in a row the first is enough.
    if (before === "listening" && next !== "listening") log("warn", `relay ${url}: ${why ?? "subscribing anew"}`);
    else if (attempts === 1 && next === "waiting") log("warn", `relay ${url}: ${why}`);
    if (before !== "refused" && next === "refused") log("warn", `relay ${url}: refuses us (${why}). Asked again every ${timing.refused / 1_000} s.`);
    if (before !== next) args.onChange();
  };
  const proven = (): void => { provenAt = Date.now(); };
  const settleAnswering = (): void => {
    const settled = answering;
    answering = [];
    for (const resolve of settled) resolve();
  };

  const connect = (): void => {
    attemptAt = performance.now();
    authentication = { challenges: 0, is: "unasked" };
    const mine = openWire({
      url,
      timing,
      ...(args.agent === undefined ? {} : { agent: args.agent }),
      onOpen: () => {
        if (lane.held() === "yes") mine.pause();
        subscribe();
        sendUnanswered();
      },
      onMessage: (text, bytes) => {
        const message = parseMessage(text);
        if (message?.verb === "EVENT") return onEvent(message.event, bytes);
        lane.charge(bytes);
        if (message === undefined) count("malformed");
        else onWord(message);
      },
      onOversized: (bytes) => {
        lane.charge(bytes);
        count("oversized");
      },
      onEnd: lost,
    });
    wire = mine;
  };
  const reconnect = (afterMs: number): void => {
    timer = setTimeout(() => {
      count("reconnect");
      // A refusal stands until the relay has taken it back.
      if (is !== "refused") become("connecting", reason);
      connect();
    }, afterMs);
  };
  const failed = (): void => {
    attempts = listeningSince !== undefined && performance.now() - listeningSince >= timing.stable ? 0 : attempts + 1;
    listeningSince = undefined;
  };
  /** The connection is over. */
  const lost = (why: string): void => {
    wire = undefined;
    clearTimeout(timer);
    current = undefined;
    former = [];
    for (const resolve of [...probing.values()]) resolve("unknown");
    settleAnswering();
    if (left === "yes") return;
    failed();
    if (meaning(why) === "refused") {
      become("refused", why);
      return reconnect(timing.refused * (0.5 + Math.random() / 2));
    }
    become("waiting", why);
    reconnect(backoff(timing, attempts, performance.now() - attemptAt));
  };

  const subscribe = (): void => {
    clearTimeout(timer);
    former = [...former, ...(current?.ids ?? [])];
    const since = Math.min(provenAt ?? startedAt, Date.now()) - timing.lookback;
    current = round(++rounds, [...args.filters(), probes.filter], Math.floor(since / 1_000));
    for (const request of current.requests) wire?.send(request);
    timer = setTimeout(() => wire?.end(`no EOSE within ${timing.eose} ms`), timing.eose);
  };
  const onEose = (id: string): void => {
    if (current?.unanswered.delete(id) !== true || current.unanswered.size > 0) return;
    clearTimeout(timer);
    for (const old of former) send("CLOSE", old);
    former = [];
    proven();
    listeningSince ??= performance.now();
    become("listening");
    settleAnswering();
  };
  const onClosed = (id: string, why: string): void => {
    if (current?.ids.includes(id) !== true) return;
    for (const other of [...current.ids, ...former]) if (other !== id) send("CLOSE", other);
    current = undefined;
    former = [];
    clearTimeout(timer);
    settleAnswering();
    failed();
    if (meaning(why) === "refused" || (meaning(why) === "auth" && authentication.is === "done")) return wire?.end(meaning(why) === "refused" ? why : `restricted: ${why}`);
    become("connecting", `subscription closed: ${why === "" ? "no reason given" : why}`);
    // With a challenge in hand the answer to it is awaited; without one it may still come.
    if (meaning(why) === "auth") timer = setTimeout(() => wire?.end(`${why} (but no authentication came about)`), timing.eose);
    else timer = setTimeout(subscribe, backoff(timing, attempts, 0));
  };
  const onAuth = (challenge: string): void => {
    if (++authentication.challenges > CHALLENGES) return;
    const answer = finalizeEvent(makeAuthEvent(url, challenge), args.secretKey);
    authentication = { ...authentication, id: answer.id, is: "asked" };
    send("AUTH", answer);
  };
  const onOk = (id: string, taken: "yes" | "no", why: string): void => {
    if (id === authentication.id) {
      if (taken === "no") return wire?.end(meaning(why) === "refused" ? why : `restricted: ${why}`);
      authentication.is = "done";
      if (current === undefined) subscribe();
      return sendUnanswered();
    }
    if (taken === "yes") proven();
    const probe = probing.get(id);
    if (probe !== undefined) {
      if (taken === "yes") return;
      if (meaning(why) === "slow" || meaning(why) === "auth") return probe("unknown");
      return wire?.end(meaning(why) === "refused" ? why : `rejects a probe: ${why}`);
    }
    // After AUTH it is asked again.
    if (taken === "no" && meaning(why) === "auth" && authentication.is !== "done") return;
    outbox.answered(id, taken === "yes" ? "taken" : "rejected");
  };
  const onEvent = (event: unknown, bytes: number): void => {
    const own = probing.get((event as { readonly id?: string } | null | undefined)?.id ?? "");
    if (own !== undefined) return own("brought");
    lane.put(event, bytes, (shaped) => current?.isAskedFor(shaped) === true && !probes.isProbe(shaped));
  };
  const onWord = (message: Exclude<RelayMessage, { readonly verb: "EVENT" }>): void => {
    if (message.verb === "EOSE") onEose(message.subscription);
    else if (message.verb === "CLOSED") onClosed(message.subscription, message.reason);
    else if (message.verb === "AUTH") onAuth(message.challenge);
    else if (message.verb === "OK") onOk(message.id, message.taken ? "yes" : "no", message.reason);
  };

  connect();
  return {
    state: () => ({ url, is, attempts, ...(provenAt === undefined ? {} : { provenAt }), ...(reason === undefined ? {} : { reason }) }),
    resubscribe: () => {
      // Without a subscription the next one will ask for the filters as they are then.
      if (wire === undefined || current === undefined) return Promise.resolve();
      const wasListening = is === "listening";
      subscribe();
      return wasListening ? new Promise((resolve) => answering.push(resolve)) : Promise.resolve();
    },
    publish: (event, deadlineMs) => {
      const answer = outbox.add(event, deadlineMs);
      send("EVENT", event);
      return answer;
    },
    probe: (deadlineMs) => {
      if (is !== "listening") return Promise.resolve("unknown");
      const event = probes.make();
      return new Promise((resolve) => {
        const deadline = setTimeout(() => {
          count("probe-lost");
          probing.get(event.id)?.("lost");
          wire?.end(`did not bring a probe back within ${deadlineMs} ms`);
        }, deadlineMs);
        probing.set(event.id, (result) => {
          clearTimeout(deadline);
          probing.delete(event.id);
          if (result === "brought") proven();
          resolve(result);
        });
        send("EVENT", event);
      });
    },
    leave: () => {
      left = "yes";
      clearTimeout(timer);
      outbox.close();
      lane.close();
      wire?.end("left");
    },
  };
}
