/** What a relay may say. @see NIP-01, "Communication between clients and relays"; NIP-42 */
export type RelayMessage =
  | { readonly verb: "EVENT"; readonly event: unknown }
  | { readonly verb: "EOSE"; readonly subscription: string }
  | { readonly verb: "CLOSED"; readonly subscription: string; readonly reason: string }
  | { readonly verb: "OK"; readonly id: string; readonly taken: boolean; readonly reason: string }
  | { readonly verb: "AUTH"; readonly challenge: string }
  | { readonly verb: "NOTICE"; readonly reason: string };

/** @returns nothing for whatever is none of these, JSON or not */
export function parseMessage(text: string): RelayMessage | undefined {
  // Most garbage is told by its beginning, without the cost of a thrown error.
  if (!/^\s*\[\s*"(EVENT|EOSE|CLOSED|OK|AUTH|NOTICE)"/.test(text.slice(0, 64))) return undefined;
  let parts: unknown;
  try {
    parts = JSON.parse(text);
  } catch {
    // A relay's garbage is no error of ours: its caller counts it.
    return undefined;
  }
  const [verb, first, second, third] = parts as unknown[];
  if (typeof first !== "string") return undefined;
  if (verb === "EVENT") return { verb, event: second };
  if (verb === "EOSE") return { verb, subscription: first };
  if (verb === "CLOSED") return { verb, subscription: first, reason: words(second) };
  if (verb === "OK") return { verb, id: first, taken: second === true, reason: words(third) };
  if (verb === "AUTH") return { verb, challenge: first };
  return { verb: "NOTICE", reason: words(first) };
}

/** A relay's words as a line of our log may quote them. */
function words(said: unknown): string {
  return typeof said === "string" ? said.slice(0, 160).replace(/[^\x20-\x7e]/g, "?") : "";
}

/** What a refusal means, by the prefix that NIP-01 and NIP-42 give it. */
export function meaning(reason: string): "auth" | "refused" | "slow" | "other" {
  if (reason.startsWith("auth-required:")) return "auth";
  if (/^(restricted|blocked):/.test(reason)) return "refused";
  return reason.startsWith("rate-limited:") ? "slow" : "other";
}
