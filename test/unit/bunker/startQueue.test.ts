import { describe, expect, it } from "vitest";
import type { NostrEvent } from "../../../bunker/relays/relays.js";
import { createStartQueue } from "../../../bunker/startQueue.js";

const event = (pubkey: string, id: number, size = 10): NostrEvent => ({ id: String(id), pubkey, content: "x".repeat(size), created_at: 0, kind: 24133, tags: [], sig: "" });

describe("the queue of the start", () => {
  it("gives each back once, known clients' first, in their order", () => {
    const queue = createStartQueue(new Set(["client"]));
    for (const one of [event("stranger", 1), event("client", 2), event("client", 3), event("stranger", 4)]) expect(queue.add(one)).toBe("kept");
    expect(queue.take().map(({ id }) => id)).toEqual(["2", "3", "1", "4"]);
    expect(queue.take()).toEqual([]);
  });

  it("drops the oldest of strangers when they flood, and none of a client's", () => {
    const queue = createStartQueue(new Set(["client"]));
    queue.add(event("client", 0));
    const kept = Array.from({ length: 100 }, (_, index) => queue.add(event("stranger", index + 1, 99_000))).filter((what) => what === "kept");
    expect(kept).toHaveLength(40);
    const ids = queue.take().map(({ id }) => Number(id));
    expect(ids[0]).toBe(0);
    expect(ids.slice(1)).toEqual(Array.from({ length: 40 }, (_, index) => index + 61));
  });
});
