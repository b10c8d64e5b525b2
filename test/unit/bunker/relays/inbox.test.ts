import { describe, expect, it, onTestFinished } from "vitest";
import { verifyEvent, type NostrEvent } from "nostr-tools/pure";
import { createInbox, type InboxArgs } from "../../../../bunker/relays/inbox.js";
import { eventually, request } from "./world.js";

const to = "a".repeat(64);

function inbox(changed: Partial<InboxArgs> = {}) {
  const delivered: NostrEvent[] = [];
  const counts: Record<string, number> = {};
  const verified: string[] = [];
  const made = createInbox({
    onEvent: (event) => delivered.push(event),
    count: (what) => { counts[what] = (counts[what] ?? 0) + 1; },
    log: () => undefined,
    memory: 60_000,
    verify: (event) => {
      verified.push(event.id);
      return verifyEvent(event);
    },
    ...changed,
  });
  onTestFinished(() => made.close());
  const held: string[] = [];
  const lane = () => {
    const made_ = made.lane({ pause: () => held.push("pause"), resume: () => held.push("resume") });
    return { ...made_, take: (event: unknown, bytes = 400) => made_.put(event, bytes, () => true) };
  };
  return { lane, delivered, counts, verified, held };
}

describe("the inbox", () => {
  it("pays for no copy of an event that is verified already, and not for two that wait", async () => {
    const { lane, delivered, counts, verified } = inbox();
    const [one, other] = [lane(), lane()];
    const event = request(to);
    one.take({ ...event });
    other.take({ ...event });
    await eventually(() => expect(counts["duplicate"]).toBe(1));
    one.take({ ...event });
    expect(counts["duplicate"]).toBe(2);
    expect([delivered.length, verified.length]).toEqual([1, 1]);
  });

  it("takes the real event after forged copies with the same id, in whatever order they wait", async () => {
    const { lane, delivered, counts } = inbox();
    const [liar, honest] = [lane(), lane()];
    const event = request(to);
    liar.take({ ...event, sig: "0".repeat(128) });
    liar.take({ ...event, content: "another" });
    honest.take({ ...event });
    await eventually(() => expect(delivered).toEqual([event]));
    await eventually(() => expect((counts["bad-signature"] ?? 0) + (counts["duplicate"] ?? 0)).toBe(2));
    liar.take({ ...event, content: "another" });
    expect(delivered).toEqual([event]);
  });

  it("believes no mark of a verification that an event brings along", async () => {
    const { lane, delivered, counts } = inbox();
    lane().take({ ...request(to), content: "another", verified: true, [Symbol.for("verified")]: true });
    await eventually(() => expect(counts["bad-signature"]).toBe(1));
    expect(delivered).toEqual([]);
  });

  it("serves a relay with one event soon while another floods, and holds the flooding one back", async () => {
    const { lane, delivered, counts, held } = inbox();
    const [flooding, quiet] = [lane(), lane()];
    for (let index = 0; index < 1_500; index++) flooding.take({ ...request(to), sig: "1".repeat(128) });
    const event = request(to);
    quiet.take(event);
    const from = performance.now();
    await eventually(() => expect(delivered).toEqual([event]));
    expect(performance.now() - from).toBeLessThan(500);
    expect(held[0]).toBe("pause");
    expect(counts["bad-signature"]).toBeLessThan(400);
  });

  it("lets a relay that was held back speak again", async () => {
    const { lane, held, delivered } = inbox({ verify: () => true });
    const one = lane();
    for (let index = 0; index < 400; index++) one.take({ ...request(to), id: index.toString(16).padStart(64, "0") });
    expect(one.held()).toBe("yes");
    await eventually(() => expect(delivered).toHaveLength(400));
    expect(one.held()).toBe("no");
    expect(held).toEqual(["pause", "resume"]);
  });

  it("drops, and counts, what is beyond its bounds", () => {
    const { lane, counts } = inbox();
    const one = lane();
    const event = request(to);
    for (let index = 0; index < 3_000; index++) one.take({ ...event, id: index.toString(16).padStart(64, "0") });
    expect(counts["dropped"]).toBe(3_000 - 2_048);
    const big = lane();
    for (let index = 0; index < 100; index++) big.take({ ...event, id: index.toString(16).padStart(64, "a") }, 200_000);
    expect(counts["dropped"]).toBe(3_000 - 2_048 + 100 - 41);
  });

  it.each([
    ["null", null], ["a number", 7], ["a list", []], ["a text", "x"], ["nothing in it", {}],
    ["tags that are none", { ...request(to), tags: [["p", 1]] }],
    ["a content that is none", { ...request(to), content: null }],
    ["an id in capitals", { ...request(to), id: "A".repeat(64) }],
    ["a short signature", { ...request(to), sig: "00" }],
    ["a time with a fraction", { ...request(to), created_at: 1.5 }],
    ["a time that is too large", { ...request(to), created_at: 1e300 }],
    ["a time before 1970", { ...request(to), created_at: -1 }],
    ["a kind that is none", { ...request(to), kind: 70_000 }],
  ])("counts %s as malformed", (_, event) => {
    const { lane, counts, verified } = inbox();
    lane().take(event);
    expect(counts).toEqual({ received: 1, malformed: 1 });
    expect(verified).toEqual([]);
  });

  it("hands on the event and nothing beside it", async () => {
    const { lane, delivered } = inbox();
    lane().take({ ...request(to), extra: "x".repeat(1_000) });
    await eventually(() => expect(Object.keys(delivered[0]!).toSorted()).toEqual(["content", "created_at", "id", "kind", "pubkey", "sig", "tags"]));
  });
});
