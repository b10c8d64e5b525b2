import { describe, expect, it } from "vitest";
import { eventually, listen, relay, request } from "./world.js";

describe("events", () => {
  it("arrive once, whatever number of relays bring them how often", async () => {
    const all = await Promise.all([relay({ duplicates: 2 }), relay({ duplicates: 1 }), relay()]);
    const bunker = listen(all.map(({ url }) => url));
    await bunker.relays.ready(2_000);
    const sent = Array.from({ length: 20 }, () => request(bunker.key));
    for (const event of sent) for (const at of all) at.broadcast(event);
    await eventually(() => expect(bunker.counted("duplicate")).toBe(20 * 5));
    expect(bunker.events.map(({ id }) => id).toSorted()).toEqual(sent.map(({ id }) => id).toSorted());
  });

  it("arrive once across a reconnection", async () => {
    const at = await relay();
    const bunker = listen([at.url]);
    await bunker.relays.ready(2_000);
    const event = request(bunker.key);
    at.broadcast(event);
    await eventually(() => expect(bunker.events).toHaveLength(1));
    at.drop();
    await eventually(() => expect([at.accepted(), at.subscriptions().length]).toEqual([2, 1]));
    at.broadcast(event);
    await eventually(() => expect(bunker.counted("duplicate")).toBe(1));
    expect(bunker.events).toHaveLength(1);
  });

  it("are not kept out by a forged copy that came first", async () => {
    const at = await relay();
    const bunker = listen([at.url]);
    await bunker.relays.ready(2_000);
    const event = request(bunker.key);
    at.broadcast({ ...event, sig: "0".repeat(128) });
    await eventually(() => expect(bunker.counted("bad-signature")).toBe(1));
    at.broadcast(event);
    await eventually(() => expect(bunker.events).toEqual([event]));
  });

  it("that nobody asked for are not delivered", async () => {
    const at = await relay();
    const bunker = listen([at.url]);
    await bunker.relays.ready(2_000);
    at.say(JSON.stringify(["EVENT", "SUB", request("f".repeat(64))]));
    await eventually(() => expect(bunker.counted("malformed")).toBe(1));
    expect(bunker.events).toEqual([]);
  });

  it("are asked for from ten minutes before the last proof on, so that a late one or a slow clock loses nothing", async () => {
    const at = await relay();
    const bunker = listen([at.url]);
    await bunker.relays.ready(2_000);
    at.drop();
    await eventually(() => expect([at.accepted(), at.subscriptions().length]).toEqual([2, 1]));
    for (const { since } of at.subscriptions()[0]!) expect(Math.abs(since! - (Date.now() / 1_000 - 600))).toBeLessThan(5);
    at.broadcast(request(bunker.key, { created_at: Math.floor(Date.now() / 1_000) - 590 }));
    await eventually(() => expect(bunker.events).toHaveLength(1));
  });

  it("go on when their handler throws", async () => {
    const at = await relay();
    let handled = 0;
    const bunker = listen([at.url], { onEvent: () => { handled++; throw new Error("content that must not be logged"); } });
    await bunker.relays.ready(2_000);
    at.broadcast(request(bunker.key));
    at.broadcast(request(bunker.key));
    await eventually(() => expect(handled).toBe(2));
    expect(bunker.lines.join()).not.toContain("content that");
  });
});

describe("resubscribe", () => {
  it("hears a new key as soon as it resolves, and loses nothing for the old ones meanwhile", async () => {
    const at = await relay();
    const keys = ["a".repeat(64)];
    const bunker = listen([at.url], { filters: () => [{ kinds: [24_133], "#p": keys }] });
    await bunker.relays.ready(2_000);
    at.set({ eose: 100 });
    keys.push("b".repeat(64));
    const done = bunker.relays.resubscribe(2_000);
    const sent: string[] = [];
    const sending = setInterval(() => {
      const event = request("a".repeat(64));
      sent.push(event.id);
      at.broadcast(event);
    }, 5);
    await done;
    clearInterval(sending);
    expect(sent.length).toBeGreaterThan(2);
    await eventually(() => expect(bunker.events.map(({ id }) => id)).toEqual(sent));
    at.broadcast(request("b".repeat(64)));
    await eventually(() => expect(bunker.events.at(-1)!.tags[0]![1]).toBe("b".repeat(64)));
    await eventually(() => expect(at.subscriptions()).toHaveLength(1));
  });

  it("does not wait for a relay beyond the deadline, nor for one that is away", async () => {
    const [slow, away] = await Promise.all([relay(), relay()]);
    const bunker = listen([slow.url, away.url], { timing: { retry: 200, eose: 5_000 } });
    await bunker.relays.ready(2_000);
    await away.stop();
    slow.set({ eose: 3_000 });
    const from = performance.now();
    await bunker.relays.resubscribe(150);
    expect(performance.now() - from).toBeLessThan(1_000);
  });

  it("asks for a thousand keys in messages that relays take", async () => {
    const at = await relay();
    const keys = Array.from({ length: 1_000 }, (_, index) => index.toString(16).padStart(64, "0"));
    const bunker = listen([at.url], { filters: () => [{ kinds: [24_133], "#p": keys }] });
    await bunker.relays.ready(2_000);
    for (const filters of at.subscriptions()) expect(JSON.stringify(filters).length).toBeLessThan(40_000);
    at.broadcast(request(keys[0]!));
    at.broadcast(request(keys[999]!));
    await eventually(() => expect(bunker.events).toHaveLength(2));
    await bunker.relays.resubscribe(2_000);
    await eventually(() => expect(at.subscriptions()).toHaveLength(3));
  });
});

describe("publish", () => {
  it("names the relays that took it, and does not wait for one that says nothing", async () => {
    const [good, mute] = await Promise.all([relay(), relay()]);
    const bunker = listen([good.url, mute.url], { timing: {} });
    await bunker.relays.ready(2_000);
    mute.set({ line: "half-open" });
    expect(await bunker.relays.publish(request(bunker.key), 3_000)).toEqual([good.url]);
  });

  it("gives none when all reject it, at once", async () => {
    const all = await Promise.all([relay({ reject: "invalid: kind" }), relay({ reject: "blocked: you" })]);
    const bunker = listen(all.map(({ url }) => url));
    await bunker.relays.ready(2_000);
    expect(await bunker.relays.publish(request(bunker.key), 3_000)).toEqual([]);
  });

  it("reaches a relay that comes back before the deadline", async () => {
    const at = await relay();
    const bunker = listen([at.url]);
    await bunker.relays.ready(2_000);
    await at.stop();
    const event = request(bunker.key);
    const taken = bunker.relays.publish(event, 4_000);
    await at.restart({ afterMs: 300 });
    expect(await taken).toEqual([at.url]);
    expect(at.received()).toContainEqual(event);
  });

  it("sends again what was sent into a connection that broke before the answer", async () => {
    const at = await relay();
    const bunker = listen([at.url]);
    await bunker.relays.ready(2_000);
    at.set({ line: "half-open" });
    const taken = bunker.relays.publish(request(bunker.key), 4_000);
    await eventually(() => expect(bunker.is(at.url)).not.toBe("listening"));
    at.heal();
    expect(await taken).toEqual([at.url]);
  });

  it("gives none at the deadline when no relay is there", async () => {
    const bunker = listen(["ws://127.0.0.1:1"]);
    expect(await bunker.relays.publish(request(bunker.key), 100)).toEqual([]);
  });
});

describe("use", () => {
  it("connects the new and leaves the old at once, and does not touch the others", async () => {
    const [kept, old, added] = await Promise.all([relay(), relay(), relay()]);
    const bunker = listen([kept.url, old.url]);
    await bunker.relays.ready(2_000);
    bunker.relays.use([`${kept.url}/`, added.url]);
    await eventually(() => expect([old.connections(), added.connections()]).toEqual([0, 1]));
    await eventually(() => expect(bunker.is(added.url)).toBe("listening"));
    expect(kept.accepted()).toBe(1);
    added.broadcast(request(bunker.key));
    await eventually(() => expect(bunker.events).toHaveLength(1));
  });

  it("refuses what is no relay, by name", async () => {
    const bunker = listen([]);
    expect(() => bunker.relays.use(["https://relay.example"])).toThrow('"https://relay.example" is no relay');
  });
});

describe("ready", () => {
  it("waits for the others until the grace is over, and no longer", async () => {
    const [fast, slow] = await Promise.all([relay(), relay({ eose: 200 })]);
    const bunker = listen([fast.url, slow.url]);
    await bunker.relays.ready(3_000);
    expect(bunker.is(slow.url)).toBe("listening");
    const withDead = listen([fast.url, "ws://127.0.0.1:1"]);
    const from = performance.now();
    await withDead.relays.ready(10_000);
    expect(performance.now() - from).toBeGreaterThan(400);
    expect(performance.now() - from).toBeLessThan(3_000);
  });
});

describe("close", () => {
  it("leaves every relay and tries none again", async () => {
    const [up, down] = await Promise.all([relay(), relay()]);
    await down.stop();
    const bunker = listen([up.url, down.url]);
    await eventually(() => expect(bunker.is(up.url)).toBe("listening"));
    await bunker.relays.close();
    await down.restart();
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect([up.connections(), down.connections()]).toEqual([0, 0]);
    expect(await bunker.relays.publish(request(bunker.key), 1_000)).toEqual([]);
  });
});
