import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { meaning, parseMessage } from "../../../../bunker/relays/message.js";
import { round } from "../../../../bunker/relays/subscription.js";
import { backoff, timingFor } from "../../../../bunker/relays/timing.js";
import { request } from "./world.js";

describe("backoff", () => {
  const timing = timingFor("direct");
  it("never lets more than the retry interval pass between the beginnings of two attempts, nor makes less than none", () => {
    fc.assert(fc.property(fc.nat(1_000), fc.double({ min: 0, max: 4_000, noNaN: true }), fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (failed, since, random) => {
      const wait = backoff(timing, failed, since, () => random);
      expect(wait).toBeGreaterThanOrEqual(0);
      expect(wait + since).toBeLessThanOrEqual(Math.max(timing.retry, since + 250));
    }));
  });
  it("grows with the failures, to 4 s", () => {
    expect([0, 1, 2, 3, 4, 5, 60].map((failed) => backoff(timing, failed, 0, () => 0.999_999_9)).map(Math.round)).toEqual([250, 500, 1_000, 2_000, 4_000, 4_000, 4_000]);
  });
});

describe("parseMessage", () => {
  it("throws at nothing", () => {
    fc.assert(fc.property(fc.oneof(fc.string(), fc.json(), fc.json().map((json) => `["EVENT",${json}`), fc.json().map((json) => `["OK",${json},${json},${json}]`), fc.json().map((json) => `["CLOSED","x",${json}]`)), (text) => {
      parseMessage(text);
    }));
  });
  it("reads what NIP-01 and NIP-42 name", () => {
    expect(parseMessage('["EOSE","1-0"]')).toEqual({ verb: "EOSE", subscription: "1-0" });
    expect(parseMessage(' [ "OK", "ab", false, "blocked: no"]')).toEqual({ verb: "OK", id: "ab", taken: false, reason: "blocked: no" });
    expect(parseMessage('["CLOSED","1"]')).toEqual({ verb: "CLOSED", subscription: "1", reason: "" });
    expect(parseMessage('["AUTH","c"]')).toEqual({ verb: "AUTH", challenge: "c" });
  });
  it("lets no relay write lines of its own into our log", () => {
    expect(parseMessage(JSON.stringify(["CLOSED", "1", `error: \n\u001b[31mroot ${"x".repeat(500)}`]))).toEqual({ verb: "CLOSED", subscription: "1", reason: `error: ??[31mroot ${"x".repeat(200)}`.slice(0, 160) });
  });
  it("takes the prefixes of refusals as they are meant", () => {
    expect(["auth-required: x", "restricted: x", "blocked: x", "rate-limited: x", "error: blocked: x", ""].map(meaning)).toEqual(["auth", "refused", "refused", "slow", "other", "other"]);
  });
});

describe("a round of subscriptions", () => {
  it("asks for each key exactly once, in requests below 40 kB, each filter with its since", () => {
    fc.assert(fc.property(fc.array(fc.nat(1_500), { minLength: 1, maxLength: 4 }), (sizes) => {
      let key = 0;
      const filters = sizes.map((size) => ({ kinds: [24_133], "#p": Array.from({ length: size }, () => (key++).toString(16).padStart(64, "0")) }));
      const made = round(1, filters, 1_000);
      const asked = made.requests.flatMap((text) => {
        expect(text.length).toBeLessThan(40_000);
        return (JSON.parse(text) as [string, string, ...{ "#p": string[]; since: number }[]]).slice(2) as { "#p": string[]; since: number }[];
      });
      expect(asked.every(({ since }) => since === 1_000)).toBe(true);
      expect(asked.flatMap((filter) => filter["#p"])).toEqual(filters.flatMap((filter) => filter["#p"]));
      expect(new Set(made.ids).size).toBe(made.requests.length);
    }), { numRuns: 30 });
  });
  it("knows what it asked for", () => {
    const { isAskedFor } = round(1, [{ kinds: [24_133], "#p": ["a".repeat(64)] }], Math.floor(Date.now() / 1_000) - 600);
    expect([request("a".repeat(64)), request("b".repeat(64)), request("a".repeat(64), { created_at: 1 })].map(isAskedFor)).toEqual([true, false, false]);
  });
});
