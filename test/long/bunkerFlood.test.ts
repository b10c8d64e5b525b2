import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { setTimeout as wait } from "node:timers/promises";
import { finalizeEvent, generateSecretKey, getPublicKey, type NostrEvent } from "nostr-tools/pure";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { newKey, newSecret } from "../nostr/operator.js";
import { rawClient, type RawClient } from "../nostr/raw.js";
import { startRelay, type TestRelay } from "../nostr/relay.js";
import { build, everything, makeHome, startProgram, type Home, type Running } from "../unit/bunker/program.js";

const passphrase = "of the flooded bunker";
const hex = (bytes: number): string => randomBytes(bytes).toString("hex");
const now = (): number => Math.floor(Date.now() / 1000);

/** Resident memory of a process, in MiB. */
function memoryOf(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))![1]) / 1024;
}

describe("a bunker that is sent rubbish by the thousand", () => {
  let relays: readonly [TestRelay, TestRelay];
  let home: Home;
  let running: Running;
  let key: string;
  let client: RawClient;
  beforeAll(async () => {
    await build();
    relays = [await startRelay(), await startRelay()];
    home = makeHome(relays.map(({ url }) => url), passphrase);
    running = startProgram(home);
    await running.says(/ready/, 60_000);
    await running.call("create_new_policy", [everything]);
    key = await newKey(running, "main", passphrase);
    client = rawClient(key);
    await client.ask(relays[1].url, "connect", [key, await newSecret(running, "main", "raw")], 15_000);
  });
  afterAll(async () => {
    running.child.kill("SIGKILL");
    await running.ended;
    for (const relay of relays) await relay.stop();
    home.remove();
  });

  /** All that it knows, but when its client was last there. */
  async function known(): Promise<string> {
    const status = await running.call("status") as { readonly keys: unknown };
    const rest = await Promise.all([["get_policies"], ["get_key_users", "main"], ["get_keys"]].map(([method, ...params]) => running.call(method!, params)));
    return JSON.stringify([status.keys, rest]).replace(/"lastUsedAt":"[^"]*"/g, "");
  }

  async function counters(): Promise<ReadonlyMap<string, number>> {
    const text = await running.call("metrics") as string;
    return new Map([...text.matchAll(/^nsecbunkerd_(client_)?events_total\{(?:class|outcome)="([\w-]+)"\} (\d+)$/gm)].map(([, of = "", name, count]) => [`${of}${name}`, Number(count)]));
  }

  /** Keys are slow to sign with: a few strangers do for all. */
  const strangers = Array.from({ length: 4 }, () => generateSecretKey());
  const stranger = (n: number, content: string, created_at = now(), to = key): NostrEvent => finalizeEvent({ kind: 24_133, created_at, tags: [["p", to]], content }, strangers[n % 4]!);
  const broken = ["", "{}", "Ag==", "a?iv=b", "\u0000", "[".repeat(1000)];

  /** One sort each, and what counts it. */
  const sorts: Readonly<Record<string, { readonly counted: string; readonly count: number; readonly make: (n: number) => unknown }>> = {
    "from a client, decrypted, but no request": { counted: "client_malformed", count: 150, make: (n) => client.event(["{", "null", "[]", '{"id":1}', '{"id":"x","result":"pong"}'][n % 5]!) },
    "from the future": { counted: "client_future", count: 1000, make: (n) => stranger(n, `Ag${hex(60)}`, now() + 3600) },
    "from yesterday, which nobody asked for": { counted: "malformed", count: 1000, make: (n) => stranger(n, `Ag${hex(60)}`, now() - 86_400) },
    "no envelope of anybody's": { counted: "client_rate-limited", count: 1000, make: (n) => stranger(n, `${broken[n % broken.length]}${hex(8)}`) },
    "wrongly signed": { counted: "bad-signature", count: 1000, make: (n) => ({ ...stranger(0, `x${n}`), sig: hex(64) }) },
    "with an id that is not theirs": { counted: "bad-signature", count: 300, make: (n) => ({ ...template, id: hex(32), content: `${n}` }) },
    "not shaped like an event": { counted: "malformed", count: 2000, make: (n) => ({ ...template, ...[{ tags: [[1]] }, { kind: "x" }, { created_at: -1 }, { content: {} }, { sig: 7 }, { pubkey: null }][n % 6] }) },
    "for nobody here": { counted: "malformed", count: 1000, make: (n) => stranger(n, "x", now(), getPublicKey(strangers[0]!)) },
    "oversized": { counted: "oversized", count: 60, make: (n) => ({ ...template, content: "x".repeat(700_000), id: hex(32), created_at: n }) },
    "replayed": { counted: "duplicate", count: 3000, make: () => replayed },
  };
  let template: NostrEvent;
  let replayed: NostrEvent;

  /** Hands it to every connection as an EVENT of its subscription, whatever it is. */
  async function flood(make: (n: number) => unknown, count: number): Promise<void> {
    for (let n = 0; n < count; n++) {
      relays[0].say(`["EVENT","SUB",${JSON.stringify(make(n))}]`);
      if (n % 50 === 49) await wait(1);
    }
  }

  async function round(): Promise<Readonly<Record<string, number>>> {
    const grown: Record<string, number> = {};
    for (const [what, { counted, count, make }] of Object.entries(sorts)) {
      const seen = async (): Promise<number> => {
        const all = await counters();
        // What a busy machine leaves of a flood, or of a client in a hurry, is counted too.
        return [...new Set([counted, "dropped", "client_rate-limited"])].reduce((sum, name) => sum + (all.get(name) ?? 0), 0);
      };
      const before = await seen();
      await flood(make, count);
      const end = performance.now() + 60_000;
      // Strangers have a few requests that are looked at before the rate is used up.
      const owed = counted === "client_rate-limited" ? count - 150 : count - (counted === "duplicate" ? 1 : 0);
      while (await seen() - before < owed && performance.now() < end) await wait(100);
      grown[what] = await seen() - before - owed;
    }
    return grown;
  }

  it("changes nothing but counters, keeps its memory, and serves its client at another relay all the while", async () => {
    template = stranger(0, "x");
    replayed = client.event({ id: "again", method: "ping", params: [] });
    await client.ask(relays[1].url, "ping", [], 5000);
    // What it all costs once: code, buffers, a heap as large as it needs. From the third round on it was the same to a MiB, over five of them.
    for (const _ of ["first", "second"]) await round();
    const [memory, before] = [memoryOf(running.child.pid!), await known()];

    const { sequence } = ((await running.call("status")) as { readonly audit: { readonly sequence: number } }).audit;

    const slowest = { ms: 0 };
    const ended = new AbortController();
    const asking = (async () => {
      while (!ended.signal.aborted) {
        const began = performance.now();
        expect((await client.ask(relays[1].url, "ping", [], 10_000)).result).toBe("pong");
        slowest.ms = Math.max(slowest.ms, performance.now() - began);
        await wait(500);
      }
    })();
    const grown = await round();
    ended.abort();
    await asking;

    for (const [what, over] of Object.entries(grown)) expect(over, what).toBeGreaterThanOrEqual(0);
    const after = memoryOf(running.child.pid!);
    process.stderr.write(`memory ${memory.toFixed(0)} MiB before, ${after.toFixed(0)} MiB after; the client's slowest answer took ${slowest.ms.toFixed(0)} ms\n`);
    expect(after - memory).toBeLessThan(40);
    expect(await known()).toBe(before);
    expect(await linesBeside(client.publicKey, sequence)).toEqual([]);
    expect(running.output()).not.toMatch(/fault|error/i);
    expect(await running.call("verify_audit")).not.toHaveProperty("fault");
  });

  /** Lines after one that are not of the client's own pings. */
  async function linesBeside(pings: string, after: number): Promise<unknown> {
    const lines = await running.call("query_audit", [{ after, limit: 1000 }]) as { readonly who: string; readonly action: string }[];
    expect(lines.length).toBeLessThan(1000);
    return lines.filter(({ who, action }) => who !== pings || action !== "ping");
  }
});
