import { createServer, type Server } from "node:http";
import type { AdminOutcome } from "./admin/rpc.js";
import type { Keyring } from "./keyring/keyring.js";
import { clientMethods, type Deed } from "./model.js";
import type { Outcome } from "./nip46/signer.js";
import type { RelayState, RelaysArgs } from "./relays/relays.js";

/** What relays, and the queue of the start, count. */
export type EventClass = Parameters<RelaysArgs["count"]>[0] | "queue-dropped";

/** Counts what happened since the start. Labels come from closed lists alone: what strangers send cannot make new ones. */
export interface Metrics {
  event(what: EventClass): void;
  /** What became of a client's event. */
  client(outcome: Outcome): void;
  admin(outcome: AdminOutcome): void;
  /** What was decided about a request of a client. */
  deed(deed: Deed): void;
  /** Prometheus' text format. */
  render(): string;
}

type Labels = Readonly<Record<string, string>>;

export function createMetrics(seen: { readonly keys: () => ReturnType<Keyring["names"]>; readonly relays: () => readonly RelayState[] }): Metrics {
  const counts = new Map<string, number>();
  const add = (name: string, labels: Labels): void => {
    const series = `${name}${labelText(labels)}`;
    counts.set(series, (counts.get(series) ?? 0) + 1);
  };
  const counted = (name: string): string[] => [...counts].filter(([series]) => series.startsWith(`${name}{`)).map(([series, count]) => `${series} ${count}`).sort();
  const named: ReadonlySet<string> = new Set(clientMethods);

  return {
    event: (what) => add("nsecbunkerd_events_total", { class: what }),
    client: (outcome) => add("nsecbunkerd_client_events_total", { outcome }),
    admin: (outcome) => add("nsecbunkerd_admin_events_total", { outcome }),
    deed: ({ action, outcome }) => add("nsecbunkerd_requests_total", { method: named.has(action) ? action : "other", outcome }),
    render: () => {
      const keys = seen.keys();
      const relays = seen.relays();
      const proven = Math.max(0, ...relays.map(({ provenAt }) => provenAt ?? 0));
      return [
        ...family("nsecbunkerd_keys_unlocked_total", "gauge", "Keys that are open now.", [`nsecbunkerd_keys_unlocked_total ${keys.filter(({ open }) => open === "open").length}`]),
        ...family("nsecbunkerd_keys_locked_total", "gauge", "Keys that are locked now.", [`nsecbunkerd_keys_locked_total ${keys.filter(({ open }) => open === "locked").length}`]),
        ...family("nsecbunkerd_requests_total", "counter", "Requests of clients by method and what was decided.", counted("nsecbunkerd_requests_total")),
        ...family("nsecbunkerd_client_events_total", "counter", "Events for keys by what became of them.", counted("nsecbunkerd_client_events_total")),
        ...family("nsecbunkerd_admin_events_total", "counter", "Events for the bunker's own identity by what became of them.", counted("nsecbunkerd_admin_events_total")),
        ...family("nsecbunkerd_events_total", "counter", "What relays brought, before anything of it was looked at.", counted("nsecbunkerd_events_total")),
        ...family("nsecbunkerd_relay_listening", "gauge", "1 while a relay is subscribed and its last probe came back.", relays.map(({ url, is }) => `nsecbunkerd_relay_listening${labelText({ relay: url })} ${is === "listening" ? 1 : 0}`)),
        ...family("nsecbunkerd_last_probe_seconds", "gauge", "When any relay last proved that it hears and is heard, in seconds since 1970.", [`nsecbunkerd_last_probe_seconds ${proven / 1000}`]),
        "",
      ].join("\n");
    },
  };
}

const labelText = (labels: Labels): string => `{${Object.entries(labels).map(([name, value]) => `${name}="${value.replace(/[\\"\n]/g, (character) => (character === "\n" ? "\\n" : `\\${character}`))}"`).join(",")}}`;

const family = (name: string, type: "gauge" | "counter", help: string, lines: readonly string[]): string[] => (lines.length === 0 ? [] : [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`, ...lines]);

/**
 * Serves the metrics at `/metrics`.
 *
 * @param at a loopback address: settings refuse any other
 * @throws when the port is taken
 */
export async function serveMetrics(at: { readonly host: string; readonly port: number }, render: () => string): Promise<Server> {
  const server = createServer((request, response) => {
    const found = request.method === "GET" && request.url === "/metrics";
    response.writeHead(found ? 200 : 404, { "content-type": "text/plain; version=0.0.4; charset=utf-8" }).end(found ? render() : "");
  });
  server.headersTimeout = 5000;
  server.requestTimeout = 5000;
  server.maxConnections = 16;
  return new Promise((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => reject(new Error(`Metrics cannot be served at ${at.host}:${at.port} (${error.code}): choose another port in NSECBUNKER_METRICS.`)));
    server.listen(at.port, at.host, () => resolve(server));
  });
}
