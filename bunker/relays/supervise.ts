import { SocksProxyAgent } from "socks-proxy-agent";
import { createInbox } from "./inbox.js";
import { createProbes } from "./probe.js";
import { superviseRelay, type Relay } from "./relay.js";
import type { Relays, RelaysArgs } from "./relays.js";
import { timingFor } from "./timing.js";

/**
 * Each relay by itself, all of them as one. What a relay does or says ends nothing but its own connection, which is made again.
 *
 * @throws when an address is no `ws://` or `wss://`, or the proxy no SOCKS5 proxy
 */
export function superviseRelays(args: RelaysArgs): Relays {
  const timing = timingFor(args.proxy === undefined ? "direct" : "proxied", args.timing);
  const agent = args.proxy === undefined ? undefined : proxyAgent(args.proxy, timing.connect);
  const probes = createProbes(args.secretKey);
  const inbox = createInbox({ ...args, memory: timing.lookback + 180_000 });
  const relays = new Map<string, Relay>();
  const changes = new Set<() => void>();
  let wanted = distinct(args.urls);
  let startedAt: number | undefined;
  let closed: "no" | "yes" = "no";

  const connectWanted = (): void => {
    for (const [key, url] of wanted) {
      if (relays.has(key)) continue;
      relays.set(key, superviseRelay({ ...args, url, timing, probes, inbox, ...(agent === undefined ? {} : { agent }), onChange: () => [...changes].forEach((changed) => changed()) }));
    }
  };
  const all = (): readonly Relay[] => [...relays.values()];
  const states = (): ReturnType<Relays["states"]> => (startedAt === undefined ? [...wanted.values()].map((url) => ({ url, is: "waiting", attempts: 0, reason: "not started" })) : all().map((relay) => relay.state()));

  return {
    start: () => {
      if (startedAt !== undefined || closed === "yes") return;
      startedAt = Date.now();
      connectWanted();
    },
    ready: (deadlineMs) => new Promise((resolve, reject) => {
      const review = (): void => {
        const now = states();
        if (!now.some(({ is }) => is === "listening")) return;
        if (now.every(({ is }) => is === "listening") || Date.now() - (startedAt ?? Date.now()) >= timing.grace) done(resolve);
      };
      const grace = setTimeout(review, Math.max(0, (startedAt ?? Date.now()) + timing.grace - Date.now()) + 1);
      const deadline = setTimeout(() => {
        if (states().some(({ is }) => is === "listening")) return done(resolve);
        done(() => reject(new Error(`No relay listens after ${deadlineMs} ms: ${states().map(({ url, is, reason }) => `${url} ${reason ?? is}`).join("; ")}. They are tried again without end; look at the network, the proxy and nostr.relays.`)));
      }, deadlineMs);
      const done = (settle: () => void): void => {
        clearTimeout(grace);
        clearTimeout(deadline);
        changes.delete(review);
        settle();
      };
      changes.add(review);
      review();
    }),
    resubscribe: (deadlineMs) => within(deadlineMs, Promise.all(all().map((relay) => relay.resubscribe()))),
    publish: async (event, deadlineMs) => {
      const taken: string[] = [];
      const answers = all().map(async (relay) => {
        const answer = await relay.publish(event, deadlineMs);
        if (answer === "taken") taken.push(relay.state().url);
        else throw new Error(answer);
      });
      // Each outbox keeps the deadline, so that none of these waits for longer.
      await Promise.any(answers).catch(() => undefined);
      return [...taken];
    },
    probe: async (deadlineMs) => {
      const results = await Promise.all(all().map(async (relay) => ({ url: relay.state().url, result: await relay.probe(deadlineMs) })));
      return results.filter(({ result }) => result === "brought").map(({ url }) => url);
    },
    use: (urls) => {
      wanted = distinct(urls);
      if (startedAt === undefined || closed === "yes") return;
      for (const [key, relay] of relays) {
        if (wanted.has(key)) continue;
        relays.delete(key);
        relay.leave();
      }
      connectWanted();
      changes.forEach((changed) => changed());
    },
    states,
    close: async () => {
      closed = "yes";
      for (const relay of all()) relay.leave();
      relays.clear();
      inbox.close();
      agent?.destroy();
    },
  };
}

/** The same relay under two spellings is one. */
function distinct(urls: readonly string[]): ReadonlyMap<string, string> {
  return new Map(urls.map((url) => {
    if (!URL.canParse(url) || !/^wss?:$/.test(new URL(url).protocol) || new URL(url).hash !== "") throw new Error(`"${url}" is no relay: it wants wss://host or ws://host.`);
    return [new URL(url).href.replace(/\/$/, ""), url];
  }));
}

/** Names are resolved by the proxy, also when it is written as `socks5:`, which elsewhere means here: who resolves them tells a resolver which relays are ours, and none knows an onion. */
function proxyAgent(proxy: string, timeout: number): SocksProxyAgent {
  if (!/^socks5h?:\/\//.test(proxy)) throw new Error(`"${proxy}" is no proxy for relays: it wants socks5h://host:port, such as socks5h://127.0.0.1:9050.`);
  return new SocksProxyAgent(proxy.replace(/^socks5:/, "socks5h:"), { timeout });
}

/** Waits no longer, whatever becomes of it. */
async function within(deadlineMs: number, work: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  await Promise.race([work, new Promise((resolve) => { timer = setTimeout(resolve, deadlineMs); })]);
  clearTimeout(timer);
}
