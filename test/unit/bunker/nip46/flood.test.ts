import { randomBytes } from "node:crypto";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import fc from "fast-check";
import * as nip44 from "nostr-tools/nip44";
import { describe, expect, it } from "vitest";
import type { Outcome } from "../../../../bunker/nip46/signer.js";
import type { NostrEvent } from "../../../../bunker/relays/relays.js";
import { createWorld, newClient, note } from "./world.js";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;
const heap = (): number => { collect(); return process.memoryUsage().heapUsed; };
const hex = (bytes = 32) => randomBytes(bytes).toString("hex");

describe("a flood", () => {
  it("of everything bad changes counters alone: nothing is thrown, memory and audit stay small, and the client in the midst of it is served", async () => {
    let published = 0;
    const world = createWorld({ publish: async () => { published += 1; return ["wss://one.example"]; } });
    const client = newClient();
    world.bind(client.publicKey, [{ method: "sign_event" }]);
    const strangers = Array.from({ length: 20 }, newClient).map((one) => ({ ...one, conversation: nip44.getConversationKey(one.secretKey, world.key.publicKey) }));
    const ours = nip44.getConversationKey(client.secretKey, world.key.publicKey);
    const tooLong = `Ag${"A".repeat(1 << 20)}`;
    const replayed = world.request(client.secretKey, { id: "r", method: "ping", params: [] });
    await world.signer.handle(replayed);

    const event = (change: object): NostrEvent => ({
      id: hex(), kind: 24133, pubkey: hex(), created_at: Math.floor(world.clock.now / 1000), tags: [["p", world.key.publicKey]], content: "", sig: hex(64), ...change,
    });
    const bad: readonly ((n: number) => unknown)[] = [
      (n) => [null, 7, "x", [], {}, { kind: 24133 }, event({ tags: [null] }), event({ created_at: "now" }), event({ created_at: NaN }), event({ content: 7 }), event({ kind: 1 })][n % 11],
      () => event({ created_at: 0 }),
      () => event({ created_at: 4e12 }),
      () => event({ tags: [] }),
      () => event({ tags: [["p", hex()]] }),
      () => event({ tags: [["p", world.asleep.publicKey]] }),
      () => event({ content: tooLong }),
      () => event({ content: `Ag${randomBytes(150).toString("base64")}` }),
      () => event({ content: "a?iv=b" }),
      () => replayed,
      () => event({ pubkey: client.publicKey, content: nip44.encrypt(["{", "[]", "null", '{"id":1}', '{"id":"x","method":7}', '{"id":"x","result":"pong"}'][published % 6]!, ours) }),
      (n) => event({ pubkey: strangers[n % 20]!.publicKey, content: nip44.encrypt(JSON.stringify({ id: "x", method: "sign_event", params: [note()] }), strangers[n % 20]!.conversation) }),
    ];
    const outcomes = new Map<Outcome, number>();
    const round = async (events: number) => {
      for (let n = 0; n < events; n += 1) {
        world.clock.now += 10;
        const outcome = await world.signer.handle(bad[n % bad.length]!(n) as NostrEvent);
        outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
      }
    };
    await round(3000);
    const before = heap();
    await round(9000);
    expect(heap() - before).toBeLessThan(4 << 20);

    expect([...outcomes.keys()].sort()).toEqual(["future", "locked-key", "malformed", "rate-limited", "refused", "replayed", "stale", "unknown-key"]);
    expect(world.logged).toEqual([]);
    expect(world.store.audit.head().sequence).toBeLessThan(60);
    expect(published).toBeLessThan(1400);
    expect(await world.signer.handle(world.request(client.secretKey, { id: "1", method: "sign_event", params: [note()] }))).toBe("answered");
  });

  it("of refused requests is a few lines and a sum in the audit, and nobody is forgotten", async () => {
    const world = createWorld();
    const client = newClient();
    world.bind(client.publicKey, []);
    const conversation = nip44.getConversationKey(client.secretKey, world.key.publicKey);
    for (let n = 0; n < 150; n += 1) {
      const content = nip44.encrypt(JSON.stringify({ id: "x", method: "sign_event", params: [note()] }), conversation);
      expect(await world.signer.handle({ ...world.request(client.secretKey, "x"), id: hex(), content })).toBe("refused");
    }
    expect(world.store.audit.query({}).length).toBe(10);
    world.signer.sweep();
    expect(world.store.audit.query({}).at(-1)).toMatchObject({ action: "refusals", who: client.publicKey, outcome: "refused", note: expect.stringMatching(/^140 more requests since /) });
  });

  it("of one client's requests is told to slow down, then left, and goes on when it has slowed down", async () => {
    const world = createWorld({ rates: { client: { burst: 2, perSecond: 1 }, stranger: { burst: 1, perSecond: 1 }, strangers: { burst: 1, perSecond: 1 } } });
    const client = newClient();
    world.bind(client.publicKey, []);
    const answers = [];
    for (let n = 0; n < 30; n += 1) answers.push(await world.ask(client.secretKey, "ping"));
    expect(answers.slice(0, 2).map(({ result }) => result)).toEqual(["pong", "pong"]);
    expect(answers[2]).toEqual({ outcome: "rate-limited", error: expect.stringContaining("too many requests") });
    expect(answers.at(-1)).toEqual({ outcome: "rate-limited" });
    world.clock.now += 1000;
    expect((await world.ask(client.secretKey, "ping")).result).toBe("pong");
  });

  it("of replays takes nothing from the client whose request is replayed", async () => {
    const world = createWorld();
    const client = newClient();
    world.bind(client.publicKey, []);
    const event = world.request(client.secretKey, { id: "1", method: "ping", params: [] });
    const outcomes = new Set<Outcome>();
    for (let n = 0; n < 500; n += 1) outcomes.add(await world.signer.handle(event));
    expect([...outcomes]).toEqual(["answered", "replayed"]);
    expect((await world.ask(client.secretKey, "ping")).result).toBe("pong");
  });
});

describe("whatever a client writes", () => {
  const world = createWorld();
  const client = newClient();
  world.bind(client.publicKey, (["sign_event", "nip04_encrypt", "nip04_decrypt", "nip44_encrypt", "nip44_decrypt"] as const).map((method) => ({ method })));
  const method = fc.oneof(fc.constantFrom("connect", "sign_event", "ping", "get_public_key", "nip04_decrypt", "nip44_decrypt", "nip44_encrypt", "switch_relays", "__proto__"), fc.string());
  const param = fc.oneof(fc.string(), fc.constantFrom(world.key.publicKey, "", "f".repeat(64), "A?iv=A", "?iv="), fc.json());

  it("it hears something, or it was no request", async () => {
    await fc.assert(fc.asyncProperty(fc.oneof(fc.record({ id: fc.oneof(fc.string(), fc.integer()), method, params: fc.oneof(fc.array(fc.oneof(param, fc.constant(null))), fc.jsonValue()) }), fc.jsonValue()), async (body) => {
      world.clock.now += 1000;
      const before = world.published.length;
      const outcome = await world.signer.handle(world.request(client.secretKey, JSON.stringify(body)));
      expect(["answered", "refused", "failed", "malformed"]).toContain(outcome);
      if (outcome !== "malformed") expect(world.published.length).toBe(before + 1);
    }), { numRuns: 300 });
    expect(world.logged).toEqual([]);
  });
});
