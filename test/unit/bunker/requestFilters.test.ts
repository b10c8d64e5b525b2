import { describe, expect, it } from "vitest";
import { requestFilters } from "../../../bunker/requestFilters.js";

const key = (index: number) => ({ name: `k${index}`, publicKey: index.toString(16).padStart(64, "0"), open: "locked" as const });

describe("what relays are asked for", () => {
  it("is admin requests and clients' requests", () => {
    const filters = requestFilters("f".repeat(64), { names: () => [key(2), key(1), { name: "legacy", open: "locked" }] });
    expect(filters()).toEqual([
      { kinds: [24133, 24134], "#p": ["f".repeat(64)] },
      { kinds: [24133], "#p": [key(1).publicKey, key(2).publicKey] },
    ]);
  });

  it("is cut into parts that relays take, and names its change", () => {
    let count = 0;
    const filters = requestFilters("f".repeat(64), { names: () => Array.from({ length: count }, (_, index) => key(index)) });
    expect(filters()).toHaveLength(1);
    const before = filters.subject();
    count = 1200;
    expect(filters.subject()).not.toBe(before);
    expect(filters().map((one) => one["#p"]!.length)).toEqual([1, 500, 500, 200]);
  });
});
