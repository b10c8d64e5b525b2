import { describe, expect, it } from "vitest";
import { createRefusals } from "../../../../bunker/grants/refusals.js";
import type { Deed } from "../../../../bunker/model.js";

const deed: Deed = { action: "sign_event", who: "x", outcome: "refused" };

describe("refusals in the audit", () => {
  it("are lines until a source has had its share of a minute, then one line with their number", () => {
    const refusals = createRefusals(3);
    const written = Array.from({ length: 10 }, () => refusals.add("strangers", deed, 0));
    expect(written.filter((one) => one !== undefined)).toEqual([deed, deed, deed]);
    expect(refusals.add("a client", deed, 0)).toEqual(deed);
    expect(refusals.sums(59_999)).toEqual([]);
    expect(refusals.sums(60_000)).toEqual([{ action: "refusals", who: "strangers", outcome: "refused", note: "7 more requests since 1970-01-01T00:00:00.000Z" }]);
    expect(refusals.sums(120_000)).toEqual([]);
    expect(refusals.add("strangers", deed, 120_000)).toEqual(deed);
  });
});
