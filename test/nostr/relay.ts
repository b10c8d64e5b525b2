/** A test's own relay, in the test's process: NIP-01 and NIP-42 as far as the bunker needs them, with faults on demand. Never for production. */
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { matchFilters, type Filter } from "nostr-tools/filter";
import { validateEvent, verifyEvent, type NostrEvent } from "nostr-tools/pure";
import { WebSocketServer, type WebSocket } from "ws";
import { garbage, type Garbage } from "./garbage.js";

export interface Faults {
  /** Each subscription, living or new, gets CLOSED with these words. */
  readonly closed?: string;
  /** `required`: NIP-42 before anything; `refused`: and nobody is let in. */
  readonly auth: "none" | "required" | "refused";
  /** Each event is sent so many times more. */
  readonly duplicates: number;
  /** How long EOSE takes, in milliseconds; `never`. */
  readonly eose: number | "never";
  /** `deaf`: events get their OK and go nowhere. */
  readonly events: "broadcast" | "deaf";
  /** Each event gets OK false with these words. */
  readonly reject?: string;
  /** `never`: TCP is accepted, and then nothing. */
  readonly upgrade: "done" | "never";
  /** `half-open`: TCP stays; nothing is answered or sent, no ping either. */
  readonly line: "alive" | "half-open";
}

export interface TestRelay {
  /** `ws://127.0.0.1:<port>`, the same after a restart. */
  readonly url: string;
  readonly port: number;
  /** From now on; what is not named stays as it is. */
  set(faults: Partial<Faults>): void;
  /** No faults any more. */
  heal(): void;
  /** CLOSED to every subscription that there is now, once. */
  closeSubscriptions(reason: string): void;
  /** RST to every connection. */
  drop(): void;
  /** So many messages of one sort to each connection. Resolves when all are handed to the sockets. */
  flood(what: Garbage, count: number): Promise<void>;
  /** To each connection as it stands; `SUB` is replaced by its first subscription's id. */
  say(message: string): void;
  /** An event to whom it concerns, without any check. */
  broadcast(event: NostrEvent): void;
  connections(): number;
  /** Connections since the beginning. */
  accepted(): number;
  subscriptions(): readonly Filter[][];
  /** Every event that was sent here, in order; rejected and swallowed ones too. */
  received(): readonly NostrEvent[];
  /** AUTH messages that came, right or wrong. */
  authentications(): number;
  stop(): Promise<void>;
  restart(options?: { readonly afterMs?: number }): Promise<void>;
}

interface Session {
  readonly ws: WebSocket;
  readonly subscriptions: Map<string, Filter[]>;
  readonly challenge: string;
  authenticated?: string;
}

const sound: Faults = { auth: "none", duplicates: 0, eose: 0, events: "broadcast", upgrade: "done", line: "alive" };

/** Listens on 127.0.0.1, at a free port when none is named. */
export async function startRelay(options: { readonly port?: number } & Partial<Faults> = {}): Promise<TestRelay> {
  const { port: wished, ...initially } = options;
  let faults: Faults = { ...sound, ...initially };
  const stored: NostrEvent[] = [];
  const received: NostrEvent[] = [];
  const sessions = new Set<Session>();
  const sockets = new Set<Socket>();
  let accepted = 0;
  let authentications = 0;
  let server: Server;

  const send = (session: Session, ...message: readonly unknown[]): void => {
    if (faults.line === "alive") session.ws.send(JSON.stringify(message));
  };
  const refuseSubscriptions = (reason: string): void => {
    for (const session of sessions) {
      for (const id of session.subscriptions.keys()) send(session, "CLOSED", id, reason);
      session.subscriptions.clear();
    }
  };
  const broadcast = (event: NostrEvent): void => {
    for (const session of sessions) {
      for (const [id, filters] of session.subscriptions) {
        if (matchFilters(filters, event)) for (let copy = 0; copy <= faults.duplicates; copy++) send(session, "EVENT", id, event);
      }
    }
  };

  const onEvent = (session: Session, event: NostrEvent): void => {
    received.push(event);
    if (!validateEvent(event) || !verifyEvent(event)) return send(session, "OK", String(event.id), false, "invalid: bad signature or shape");
    if (faults.auth !== "none" && session.authenticated === undefined) return send(session, "OK", event.id, false, "auth-required: say who you are");
    if (faults.reject !== undefined) return send(session, "OK", event.id, false, faults.reject);
    send(session, "OK", event.id, true, "");
    if (faults.events === "deaf") return;
    if (event.kind < 20_000 || event.kind > 29_999) stored.push(event);
    broadcast(event);
  };
  const onReq = (session: Session, id: string, filters: Filter[]): void => {
    if (faults.auth !== "none" && session.authenticated === undefined) return send(session, "CLOSED", id, "auth-required: say who you are");
    if (faults.closed !== undefined) return send(session, "CLOSED", id, faults.closed);
    session.subscriptions.set(id, filters);
    const found = new Set(filters.flatMap((filter) => stored.filter((event) => matchFilters([filter], event)).slice(-(filter.limit ?? 500))));
    for (const event of [...found].sort((a, b) => b.created_at - a.created_at)) send(session, "EVENT", id, event);
    if (faults.eose === "never") return;
    if (faults.eose === 0) return send(session, "EOSE", id);
    setTimeout(() => { if (session.subscriptions.has(id)) send(session, "EOSE", id); }, faults.eose).unref();
  };
  const onAuth = (session: Session, event: NostrEvent): void => {
    authentications++;
    const tag = (name: string): string | undefined => event.tags.find(([key]) => key === name)?.[1];
    const right = verifyEvent(event) && event.kind === 22_242 && tag("challenge") === session.challenge && tag("relay")?.replace(/\/$/, "") === url;
    if (right && faults.auth !== "refused") session.authenticated = event.pubkey;
    send(session, "OK", event.id, session.authenticated !== undefined, right ? (session.authenticated === undefined ? "restricted: you are not on the list" : "") : "invalid: wrong challenge or relay");
  };
  const onMessage = (session: Session, text: string): void => {
    if (faults.line === "half-open") return;
    const [verb, first, ...rest] = JSON.parse(text) as [string, unknown, ...unknown[]];
    if (verb === "EVENT") onEvent(session, first as NostrEvent);
    else if (verb === "REQ") onReq(session, String(first), rest as Filter[]);
    else if (verb === "CLOSE") session.subscriptions.delete(String(first));
    else if (verb === "AUTH") onAuth(session, first as NostrEvent);
    else send(session, "NOTICE", `unknown verb ${verb}`);
  };

  const listen = async (port: number): Promise<void> => {
    const acceptor = new WebSocketServer({ noServer: true, autoPong: false, maxPayload: 4_194_304 });
    server = createServer((_, response) => response.writeHead(426).end());
    server.on("connection", (socket) => {
      sockets.add(socket);
      socket.on("error", () => undefined);
      socket.on("close", () => sockets.delete(socket));
    });
    server.on("upgrade", (request, socket, head) => {
      if (faults.upgrade === "never") return;
      acceptor.handleUpgrade(request, socket, head, (ws) => {
        const session: Session = { ws, subscriptions: new Map(), challenge: randomBytes(16).toString("hex") };
        sessions.add(session);
        accepted++;
        ws.on("close", () => sessions.delete(session));
        ws.on("error", () => undefined);
        ws.on("ping", (data) => { if (faults.line === "alive") ws.pong(data); });
        ws.on("message", (data) => onMessage(session, String(data)));
        if (faults.auth !== "none") send(session, "AUTH", session.challenge);
      });
    });
    server.listen(port, "127.0.0.1");
    await once(server, "listening");
  };
  const stop = async (): Promise<void> => {
    if (!server.listening) return;
    const closed = once(server, "close");
    server.close();
    for (const socket of sockets) socket.resetAndDestroy();
    await closed;
  };

  await listen(wished ?? 0);
  const { port } = server!.address() as AddressInfo;
  const url = `ws://127.0.0.1:${port}`;
  return {
    url,
    port,
    set: (changed) => {
      faults = { ...faults, ...changed };
      if (faults.closed !== undefined) refuseSubscriptions(faults.closed);
    },
    heal: () => { faults = sound; },
    closeSubscriptions: refuseSubscriptions,
    drop: () => { for (const socket of sockets) socket.resetAndDestroy(); },
    flood: async (what, count) => {
      await Promise.all([...sessions].map(async ({ ws, subscriptions }) => {
        const [id, filters] = [...subscriptions][0] ?? ["none", []];
        for (let sent = 0; sent < count && ws.readyState === ws.OPEN; sent++) {
          await new Promise<void>((resolve) => ws.send(garbage(what, id, filters, sent), () => resolve()));
        }
      }));
    },
    say: (message) => { for (const { ws, subscriptions } of sessions) ws.send(message.replaceAll("SUB", [...subscriptions.keys()][0] ?? "none")); },
    broadcast,
    connections: () => sessions.size,
    accepted: () => accepted,
    subscriptions: () => [...sessions].flatMap((session) => [...session.subscriptions.values()]),
    received: () => received,
    authentications: () => authentications,
    stop,
    restart: async ({ afterMs = 0 } = {}) => {
      await stop();
      await new Promise((resolve) => setTimeout(resolve, afterMs));
      await listen(port);
    },
  };
}
