import { randomBytes } from "node:crypto";
import type { Filter } from "nostr-tools/filter";
import { getEventHash, type NostrEvent } from "nostr-tools/pure";

/** What a hostile or broken relay may send. `wrong-signature` has a right id, so that only the signature tells. */
export type Garbage = "not-json" | "unknown-verb" | "wrong-shape" | "wrong-id" | "wrong-signature" | "oversized" | "deep" | "auth";

/** One message of garbage for a subscription, made to fit its first filter. */
export function garbage(what: Garbage, subscription: string, filters: readonly Filter[], index: number): string {
  if (what === "not-json") return `{"EVENT" ${index}`;
  if (what === "unknown-verb") return JSON.stringify(["NONSENSE", index, { a: [null] }]);
  if (what === "deep") return `["EVENT","${subscription}",${"[".repeat(20_000)}${"]".repeat(20_000)}]`;
  if (what === "auth") return JSON.stringify(["AUTH", `challenge-${index}`]);
  if (what === "wrong-shape") return JSON.stringify(["EVENT", subscription, { ...wronglySigned(filters, "x"), tags: [[1, null]], content: { index } }]);
  if (what === "wrong-id") return JSON.stringify(["EVENT", subscription, { ...wronglySigned(filters, "x"), id: randomBytes(32).toString("hex") }]);
  if (what === "oversized") return JSON.stringify(["EVENT", subscription, { ...wronglySigned(filters, "x"), content: "x".repeat(600_000) }]);
  return JSON.stringify(["EVENT", subscription, wronglySigned(filters, `${index} ${randomBytes(8).toString("hex")}`)]);
}

function wronglySigned(filters: readonly Filter[], content: string): NostrEvent {
  const { kinds, authors, "#p": to } = filters[0] ?? {};
  const event = {
    kind: kinds?.[0] ?? 24_133,
    pubkey: authors?.[0] ?? "79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798",
    created_at: Math.floor(Date.now() / 1000),
    tags: to === undefined ? [] : [["p", to[0]!]],
    content,
  };
  return { ...event, id: getEventHash(event), sig: randomBytes(64).toString("hex") };
}
