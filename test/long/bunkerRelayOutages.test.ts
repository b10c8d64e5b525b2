import { createServer } from "node:net";
import { once } from "node:events";
import { generateSecretKey, getPublicKey } from "nostr-tools/pure";
import { describe, expect, it, onTestFinished } from "vitest";
import { createProbes } from "../../bunker/relays/probe.js";
import type { TestRelay } from "../nostr/relay.js";
import { eventually, listen, quick, relay, request, type Listener } from "../unit/bunker/relays/world.js";

/** Milliseconds until a client's event arrives again, sent anew every 50 ms as a client would. */
async function answersAfter(at: TestRelay, bunker: Listener, timeout: number): Promise<number> {
  const from = performance.now();
  const before = bunker.events.length;
  await eventually(() => {
    at.broadcast(request(bunker.key));
    expect(bunker.events.length).toBeGreaterThan(before);
  }, timeout);
  return performance.now() - from;
}

describe("a relay that goes away, with the times of production", () => {
  it("is heard within 5 s of its first appearance when it was down at boot", async () => {
    const at = await relay();
    await at.stop();
    const bunker = listen([at.url], { timing: {} });
    await eventually(() => expect(bunker.relays.states()[0]!.attempts).toBeGreaterThan(3), 15_000);
    await at.restart();
    expect(await answersAfter(at, bunker, 6_000)).toBeLessThan(5_000);
  }, 30_000);

  it("is heard within 5 s of its return after 3 s", async () => {
    const at = await relay();
    const bunker = listen([at.url], { timing: {} });
    await bunker.relays.ready(5_000);
    await at.restart({ afterMs: 3_000 });
    expect(await answersAfter(at, bunker, 6_000)).toBeLessThan(5_000);
    expect(bunker.lines.filter((line) => line.includes(at.url)).length).toBeLessThan(5);
  }, 30_000);

  it("is heard within 5 s of its return after a time in which packets vanished", async () => {
    const at = await relay({ upgrade: "never" });
    const bunker = listen([at.url], { timing: {} });
    await eventually(() => expect(bunker.relays.states()[0]!.reason).toContain("no connection within"), 10_000);
    at.heal();
    expect(await answersAfter(at, bunker, 6_000)).toBeLessThan(5_000);
  }, 30_000);
});

describe("a relay that fails", () => {
  it("is connected anew after RST", async () => {
    const at = await relay();
    const bunker = listen([at.url]);
    await bunker.relays.ready(2_000);
    at.drop();
    await eventually(() => expect(at.accepted()).toBe(2));
    await answersAfter(at, bunker, 2_000);
  });

  it("is connected anew when its line is half-open and no ping is answered", async () => {
    const at = await relay();
    const bunker = listen([at.url]);
    await bunker.relays.ready(2_000);
    at.set({ line: "half-open" });
    await eventually(() => expect(bunker.relays.states()[0]!.reason).toContain("silent"));
    at.heal();
    await answersAfter(at, bunker, 2_000);
  });

  it("is connected anew when it never says EOSE", async () => {
    const at = await relay({ eose: "never" });
    const bunker = listen([at.url]);
    await eventually(() => expect(at.accepted()).toBeGreaterThan(1));
    expect(bunker.lines.join()).toContain("no EOSE within 300 ms");
    await expect(bunker.relays.ready(100)).rejects.toThrow(at.url);
    at.heal();
    await bunker.relays.ready(2_000);
  });

  it("is subscribed to again after CLOSED, on the same connection", async () => {
    const at = await relay();
    const bunker = listen([at.url]);
    await bunker.relays.ready(2_000);
    at.closeSubscriptions("error: shutting down idle subscriptions");
    await eventually(() => expect(bunker.is(at.url)).not.toBe("listening"));
    await eventually(() => expect(bunker.is(at.url)).toBe("listening"));
    expect(at.accepted()).toBe(1);
    await answersAfter(at, bunker, 2_000);
  });

  it("is asked again without end while it closes every subscription, and not in a storm", async () => {
    const at = await relay({ closed: "error: no" });
    const bunker = listen([at.url]);
    await eventually(() => expect(bunker.relays.states()[0]!.attempts).toBeGreaterThan(5));
    expect(bunker.relays.states()[0]!).toMatchObject({ is: "connecting", reason: "subscription closed: error: no" });
    at.heal();
    await bunker.relays.ready(2_000);
  });

  it("is left in peace for longer when it says that we are blocked, and heard once it does not", async () => {
    const at = await relay({ closed: "blocked: go away" });
    const bunker = listen([at.url], { timing: { ...quick, refused: 2_000 } });
    await eventually(() => expect(bunker.is(at.url)).toBe("refused"));
    const asked = at.accepted();
    await new Promise((resolve) => setTimeout(resolve, 600));
    expect(at.accepted()).toBe(asked);
    at.heal();
    await bunker.relays.ready(4_000);
  });

  it("that restarts after every few milliseconds is not asked in a storm", async () => {
    const at = await relay();
    listen([at.url]);
    const flapping = setInterval(() => at.drop(), 5);
    onTestFinished(() => clearInterval(flapping));
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    expect(at.accepted()).toBeGreaterThan(2);
    expect(at.accepted()).toBeLessThan(60);
  });

  it("costs the others nothing, whatever it is", async () => {
    const [good, refusing, mute] = await Promise.all([relay(), relay({ closed: "restricted: members alone" }), relay({ upgrade: "never" })]);
    const silent = createServer(() => undefined).listen(0, "127.0.0.1");
    onTestFinished(() => void silent.close());
    await once(silent, "listening");
    const bunker = listen([good.url, refusing.url, mute.url, "ws://127.0.0.1:1", "ws://name.invalid"]);
    await bunker.relays.ready(3_000);
    good.broadcast(request(bunker.key));
    await eventually(() => expect(bunker.events).toHaveLength(1));
    expect(bunker.is(refusing.url)).toBe("refused");
  });
});

describe("AUTH (NIP-42)", () => {
  it("is answered with the bunker's identity, and the subscription asked for again", async () => {
    const at = await relay({ auth: "required" });
    const bunker = listen([at.url]);
    await bunker.relays.ready(2_000);
    expect(at.accepted()).toBe(1);
    at.broadcast(request(bunker.key));
    await eventually(() => expect(bunker.events).toHaveLength(1));
    expect(await bunker.relays.publish(request(bunker.key), 2_000)).toEqual([at.url]);
    expect(await bunker.relays.probe(1_000)).toEqual([at.url]);
  });

  it("takes an event with it that was sent before", async () => {
    const at = await relay({ auth: "required" });
    const bunker = listen([at.url]);
    expect(await bunker.relays.publish(request(bunker.key), 2_000)).toEqual([at.url]);
  });

  it("that is not granted leaves the relay refused, in its own words", async () => {
    const at = await relay({ auth: "refused" });
    const bunker = listen([at.url]);
    await eventually(() => expect(bunker.relays.states()[0]!).toMatchObject({ is: "refused", reason: "restricted: you are not on the list" }));
  });

  it("is answered a few times on one connection, not for ever", async () => {
    const at = await relay();
    const bunker = listen([at.url]);
    await bunker.relays.ready(2_000);
    await at.flood("auth", 300);
    await bunker.relays.probe(5_000);
    expect(at.authentications()).toBeGreaterThan(0);
    expect(at.authentications()).toBeLessThan(10);
  });
});

describe("a probe", () => {
  it("comes back through each relay by itself and reaches nobody else", async () => {
    const all = await Promise.all([relay(), relay(), relay()]);
    const bunker = listen(all.map(({ url }) => url));
    await bunker.relays.ready(2_000);
    expect((await bunker.relays.probe(2_000)).toSorted()).toEqual(all.map(({ url }) => url).toSorted());
    for (const at of all) expect(at.received().map(({ pubkey, tags }) => [pubkey, tags])).toEqual([[bunker.identity, [["p", bunker.identity], ["t", "holdfast-probe"]]]]);
    expect(bunker.events).toEqual([]);
  });

  it("of another process with the same identity is nobody's request", async () => {
    const at = await relay();
    const secretKey = generateSecretKey();
    const bunker = listen([at.url], { secretKey, filters: () => [{ kinds: [24_133], "#p": [getPublicKey(secretKey)] }] });
    await bunker.relays.ready(2_000);
    at.broadcast(createProbes(secretKey).make());
    await eventually(() => expect(bunker.counted("malformed")).toBe(1));
    at.broadcast(request(getPublicKey(secretKey)));
    await eventually(() => expect(bunker.events).toHaveLength(1));
  });

  it("finds a relay that takes events and delivers none: it is connected anew, the others stay", async () => {
    const [good, deaf] = await Promise.all([relay(), relay({ events: "deaf" })]);
    const bunker = listen([good.url, deaf.url]);
    await bunker.relays.ready(2_000);
    expect(await bunker.relays.probe(200)).toEqual([good.url]);
    expect(bunker.counted("probe-lost")).toBe(1);
    await eventually(() => expect(deaf.accepted()).toBe(2));
    expect(good.accepted()).toBe(1);
    deaf.heal();
    await eventually(() => expect(bunker.is(deaf.url)).toBe("listening"));
    expect(await bunker.relays.probe(1_000)).toHaveLength(2);
  });

  it("that is rejected because we ask too often is no reason to leave", async () => {
    const at = await relay({ reject: "rate-limited: slow down" });
    const bunker = listen([at.url]);
    await bunker.relays.ready(2_000);
    expect(await bunker.relays.probe(500)).toEqual([]);
    expect(at.accepted()).toBe(1);
    expect(bunker.is(at.url)).toBe("listening");
  });
});
