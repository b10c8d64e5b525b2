import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decide, type Question } from "../../../../bunker/grants/decide.js";
import { clientMethods, type Client, type Policy, type Rule } from "../../../../bunker/model.js";

const now = 1_700_000_000_000;
const people = ["a".repeat(64), "b".repeat(64)];
const client = (change: Partial<Client> = {}): Client => ({ id: 1, keyName: "k", publicKey: "c".repeat(64), name: "", policyId: 7, createdAt: 0, ...change });
const policy = (rules: readonly Rule[], change: Partial<Policy> = {}): Policy => ({ id: 7, name: "p", createdAt: 0, rules, ...change });
const question = (change: Partial<Question>): Question => ({ request: { method: "sign_event", kind: 1 }, client: client(), policy: policy([]), uses: () => 0, now, ...change });

describe("decide", () => {
  it.each([
    ["unknown-client", { client: undefined }, "connect with the secret"],
    ["revoked", { client: client({ revokedAt: 1 }) }, "has ended"],
    ["expired", { client: client({ expiresAt: now }) }, "has expired"],
    ["no-policy", { policy: undefined }, "has no policy"],
    ["no-policy", { policy: policy([], { id: 8 }) }, "has no policy"],
    ["policy-expired", { policy: policy([], { expiresAt: now }) }, "ended at 2023-11-14T22:13:20.000Z"],
    ["no-rule", { policy: policy([{ id: 1, method: "sign_event", kind: 2 }]) }, "may not sign kind 1 events with this key; ask its owner"],
    ["no-rule", { request: { method: "nip44_decrypt", counterparty: people[0]! }, policy: policy([{ id: 1, method: "nip44_decrypt", counterparty: people[1]! }]) }, `nip44_decrypt with ${people[0]}`],
    ["cap-used", { policy: policy([{ id: 1, method: "sign_event", cap: { uses: 3 } }]), uses: () => 3 }, "all 3 uses"],
  ] as const)("refuses with the reason %s and says what to do", (reason, change, error) => {
    expect(decide(question(change))).toEqual({ allow: false, reason, error: expect.stringContaining(error) });
  });

  it("takes the first rule that is not used up", () => {
    const rules: Rule[] = [{ id: 1, method: "sign_event", kind: 1, cap: { uses: 1 } }, { id: 2, method: "sign_event", cap: { uses: 5 } }];
    expect(decide(question({ policy: policy(rules) }))).toEqual({ allow: true, rule: rules[0] });
    expect(decide(question({ policy: policy(rules), uses: (rule) => (rule.id === 1 ? 1 : 0) }))).toEqual({ allow: true, rule: rules[1] });
  });

  it("lets a live client without a policy say that it is there and goes, and one with a policy ask who it signs for", () => {
    for (const method of ["connect", "ping", "logout"]) expect(decide(question({ request: { method }, policy: undefined }))).toEqual({ allow: true });
    for (const method of ["get_public_key", "switch_relays"]) {
      expect(decide(question({ request: { method } }))).toEqual({ allow: true });
      expect(decide(question({ request: { method }, policy: undefined })).allow).toBe(false);
    }
  });
});

const anyRule = (id: number): fc.Arbitrary<Rule> => fc.record({
  id: fc.constant(id),
  method: fc.constantFrom(...clientMethods),
  kind: fc.integer({ min: 0, max: 2 }),
  counterparty: fc.constantFrom(...people),
  cap: fc.record({ uses: fc.integer({ min: 0, max: 3 }), windowSeconds: fc.integer({ min: 1, max: 20 }) }, { requiredKeys: ["uses"] }),
}, { requiredKeys: ["id", "method"] });
const anyRules = fc.tuple(anyRule(1), anyRule(2), anyRule(3)).chain((rules) => fc.subarray(rules));
const anyRequest = fc.record({
  method: fc.constantFrom(...clientMethods, "create_account"), kind: fc.integer({ min: 0, max: 2 }), counterparty: fc.constantFrom(...people),
}, { requiredKeys: ["method"] });
const around = fc.integer({ min: -2, max: 2 }).map((off) => now + off);

describe("whatever the rules are", () => {
  it("nothing outside them is allowed, and nothing after a revocation or an end", () => {
    fc.assert(fc.property(
      anyRules, anyRequest, fc.record({ revokedAt: around, expiresAt: around }, { requiredKeys: [] }), fc.option(around, { nil: undefined }), fc.integer({ min: 0, max: 4 }),
      (rules, request, ends, policyEnd, used) => {
        const decision = decide(question({ request, client: client(ends), policy: policy(rules, policyEnd === undefined ? {} : { expiresAt: policyEnd }), uses: () => used }));
        if (!decision.allow) return;
        expect(ends.revokedAt).toBeUndefined();
        expect(ends.expiresAt ?? Infinity).toBeGreaterThan(now);
        if (["connect", "ping", "logout"].includes(request.method)) return;
        expect(policyEnd ?? Infinity).toBeGreaterThan(now);
        if (["get_public_key", "switch_relays"].includes(request.method)) return;
        const rule = decision.rule!;
        expect(rules).toContain(rule);
        expect(rule.method).toBe(request.method);
        expect([undefined, request.kind]).toContain(rule.kind);
        expect([undefined, request.counterparty]).toContain(rule.counterparty);
        expect(used).toBeLessThan(rule.cap?.uses ?? Infinity);
      },
    ), { numRuns: 2000 });
  });

  it("no cap is exceeded in any window, and what is refused is allowed again at the time that is named, not before", () => {
    fc.assert(fc.property(anyRules, fc.array(fc.tuple(anyRequest, fc.integer({ min: 0, max: 8000 })), { maxLength: 40 }), (rules, steps) => {
      const used: { readonly rule: Rule; readonly at: number }[] = [];
      const uses: Question["uses"] = (rule, since = 0) => used.filter((use) => use.rule === rule && use.at >= since).length;
      const at = (request: Question["request"], time: number) => decide(question({ request, policy: policy(rules), uses, now: time }));
      let time = now;
      for (const [request, later] of steps) {
        time += later;
        const decision = at(request, time);
        if (decision.allow && decision.rule !== undefined) used.push({ rule: decision.rule, at: time });
        const free = decision.allow ? undefined : /free again at (.*)$/.exec(decision.error)?.[1];
        if (free === undefined) continue;
        expect(at(request, Date.parse(free)).allow).toBe(true);
        expect(at(request, Date.parse(free) - 1).allow).toBe(false);
      }
      for (const { id, cap } of rules) {
        if (cap === undefined) continue;
        const times = used.filter((use) => use.rule.id === id).map((use) => use.at);
        const width = cap.windowSeconds === undefined ? Infinity : cap.windowSeconds * 1000;
        for (const start of times) expect(times.filter((one) => one >= start && one <= start + width).length).toBeLessThanOrEqual(cap.uses);
      }
    }), { numRuns: 500 });
  });
});
