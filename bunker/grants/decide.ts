import type { Client, Policy, PublicKey, Rule, Time } from "../model.js";

/** What somebody asks a key for. */
export interface Question {
  readonly request: { readonly method: string; readonly kind?: number; readonly counterparty?: PublicKey };
  readonly client: Client | undefined;
  /** The client's own, as it is now. */
  readonly policy: Policy | undefined;
  /** Uses of a rule by this client, since a time or ever. */
  readonly uses: (rule: Rule, since?: Time) => number;
  readonly now: Time;
}

export type Reason = "unknown-client" | "revoked" | "expired" | "no-policy" | "policy-expired" | "no-rule" | "cap-used";

/** `rule` is whose cap the use counts against. `error` is for the client: what is wrong and what to do. */
export type Decision = { readonly allow: true; readonly rule?: Rule } | { readonly allow: false; readonly reason: Reason; readonly error: string };

/** Harmless for the key: a client may always say that it is there, or that it goes. */
const wantsNoPolicy: readonly string[] = ["connect", "ping", "logout"];
/** Says nothing that the invitation did not say. */
const wantsNoRule: readonly string[] = ["get_public_key", "switch_relays"];

/** Whether somebody is a client of a key now. */
export function standing(client: Client | undefined, now: Time): "live" | "unknown-client" | "revoked" | "expired" {
  if (client === undefined) return "unknown-client";
  if (client.revokedAt !== undefined) return "revoked";
  return client.expiresAt !== undefined && client.expiresAt <= now ? "expired" : "live";
}

/**
 * Whether a request is allowed at this moment. What no rule allows is refused. Of several rules that match, the first that is not used up wins.
 * Pure but for `uses`: whoever acts on the answer records the use before anything else can ask.
 */
export function decide({ request, client, policy, uses, now }: Question): Decision {
  const stands = standing(client, now);
  if (stands !== "live") return { allow: false, reason: stands, error: standingErrors[stands] };
  if (wantsNoPolicy.includes(request.method)) return { allow: true };

  if (policy === undefined || policy.id !== client?.policyId) {
    return { allow: false, reason: "no-policy", error: "this client has no policy for this key, so nothing is allowed; ask the key's owner for one" };
  }
  if (policy.expiresAt !== undefined && policy.expiresAt <= now) {
    return { allow: false, reason: "policy-expired", error: `this client's policy for this key ended at ${instant(policy.expiresAt)}; ask the key's owner to prolong it` };
  }
  if (wantsNoRule.includes(request.method)) return { allow: true };

  const matching = policy.rules.filter((rule) => matches(rule, request));
  if (matching.length === 0) {
    return { allow: false, reason: "no-rule", error: `this client may not ${deed(request)} with this key; ask its owner for a policy that allows it` };
  }
  const rule = matching.find((one) => !usedUp(one, uses, now));
  return rule === undefined
    ? { allow: false, reason: "cap-used", error: `this client may not ${deed(request)} with this key at this time: ${capInWords(matching, uses, now)}` }
    : { allow: true, rule };
}

const standingErrors = {
  "unknown-client": "this client is not known to this key; connect with the secret of an invitation of its owner's",
  "revoked": "this client's access to this key has ended (revoked or logged out); ask the key's owner for a new invitation and connect with its secret",
  "expired": "this client's access to this key has expired; ask the key's owner for a new invitation and connect with its secret",
};

function matches(rule: Rule, request: Question["request"]): boolean {
  return rule.method === request.method
    && (rule.kind === undefined || rule.kind === request.kind)
    && (rule.counterparty === undefined || rule.counterparty === request.counterparty);
}

function usedUp(rule: Rule, uses: Question["uses"], now: Time): boolean {
  return rule.cap !== undefined && uses(rule, windowStart(rule, now)) >= rule.cap.uses;
}

function windowStart(rule: Rule, now: Time): Time | undefined {
  return rule.cap?.windowSeconds === undefined ? undefined : now - rule.cap.windowSeconds * 1000;
}

function capInWords(matching: readonly Rule[], uses: Question["uses"], now: Time): string {
  const free = matching.map((rule) => ({ rule, at: freeAt(rule, uses, now) })).sort((a, b) => (a.at ?? Infinity) - (b.at ?? Infinity))[0];
  const cap = free?.rule.cap;
  if (cap === undefined || free?.at === undefined) return `all ${cap?.uses ?? 0} uses that its policy grants are used up; ask the key's owner for more`;
  return `all ${cap.uses} uses that its policy grants within ${cap.windowSeconds} seconds are used up; free again at ${instant(free.at)}`;
}

/** When the oldest of the uses that fill the window has left it. Found by halving, so that counts are all it needs. */
function freeAt(rule: Rule, uses: Question["uses"], now: Time): Time | undefined {
  const cap = rule.cap;
  if (cap?.windowSeconds === undefined || cap.uses < 1) return undefined;
  let full = now - cap.windowSeconds * 1000;
  let notFull = now + 1;
  while (notFull - full > 1) {
    const between = Math.floor((full + notFull) / 2);
    if (uses(rule, between) >= cap.uses) full = between;
    else notFull = between;
  }
  return notFull + cap.windowSeconds * 1000;
}

function deed({ method, kind, counterparty }: Question["request"]): string {
  if (method === "sign_event") return `sign kind ${kind} events`;
  return counterparty === undefined ? `call ${method}` : `call ${method} with ${counterparty}`;
}

function instant(time: Time): string {
  return new Date(time).toISOString();
}
