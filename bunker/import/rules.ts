import { clientMethods, type ClientMethod } from "../model.js";
import type { NewRule } from "../store/store.js";
import type { OldCondition, OldRule } from "./predecessor.js";

/** What may be done, and what was said that is not brought. */
export interface Translated {
  readonly rules: readonly NewRule[];
  readonly leftOut: readonly string[];
  /** Somebody was refused everything. */
  readonly rejected: boolean;
}

/** nsecbunkerd answered these to whoever was allowed anything. */
const implied: readonly NewRule[] = [{ method: "connect" }, { method: "get_public_key" }];
/** Its own names: it knew NIP-04 alone. @see NDK 2.8.1, the back end's strategies */
const renamed: Readonly<Record<string, ClientMethod>> = { encrypt: "nip04_encrypt", decrypt: "nip04_decrypt" };

/** What a client was allowed: its conditions, as nsecbunkerd asked them. A refusal wins over whatever allows a part of the same. @see src/daemon/lib/acl/index.ts */
export function rulesOfConditions(conditions: readonly OldCondition[]): Translated {
  const leftOut: string[] = [];
  const allowed: NewRule[] = [];
  const refused: NewRule[] = [];
  let rejected = false;
  for (const { method, kind, content, allowed: says } of conditions) {
    const words = inWords(method ?? "everything", kind);
    if (says === false && (method === undefined || method === "*")) rejected = true;
    else if (says === undefined) leftOut.push(`${words}: nobody decided on it`);
    else {
      const rule = ruleOf(method ?? "", kind);
      if (says === false) refused.push(...(typeof rule === "string" ? [] : [rule]));
      else if (typeof rule === "string") leftOut.push(`${words}: ${rule}`);
      else if (content !== undefined) leftOut.push(`${words}: it is bound to a content, which no rule can be`);
      else allowed.push(rule);
    }
  }
  const overlaps = (one: NewRule, other: NewRule): boolean => one.method === other.method && (one.kind === undefined || other.kind === undefined || one.kind === other.kind);
  const kept = allowed.filter((rule) => !refused.some((other) => overlaps(rule, other)));
  for (const rule of allowed) if (!kept.includes(rule)) leftOut.push(`${inWords(rule.method, rule.kind?.toString())}: it was allowed and, in whole or in part, refused too`);
  return { rules: kept.length === 0 ? [] : distinct([...implied, ...kept]), leftOut, rejected };
}

/** What a policy allows. Caps count for each client by itself from now on: nsecbunkerd never counted. */
export function rulesOfPolicy(rules: readonly OldRule[]): Translated {
  const leftOut: string[] = [];
  const allowed = rules.flatMap(({ method, kind, maxUsageCount, currentUsageCount }) => {
    const rule = ruleOf(method, kind);
    if (typeof rule !== "string") return [{ ...rule, ...(maxUsageCount !== undefined && { cap: { uses: Math.max(0, maxUsageCount - (currentUsageCount ?? 0)) } }) }];
    leftOut.push(`${inWords(method, kind)}: ${rule}`);
    return [];
  });
  return { rules: allowed.length === 0 ? [] : distinct([...implied, ...allowed]), leftOut, rejected: false };
}

/** The rule, or why there is none. */
function ruleOf(method: string, kind: string | undefined): NewRule | string {
  const known = renamed[method] ?? clientMethods.find((one) => one === method);
  if (known === undefined) return "no client can ask for that";
  if (known !== "sign_event" || kind === "all") return { method: known };
  if (kind === undefined) return "it names no kind, and allowed none";
  return /^\d{1,5}$/.test(kind) && Number(kind) < 65536 ? { method: known, kind: Number(kind) } : "its kind is none";
}

const inWords = (method: string, kind: string | undefined): string => (kind === undefined ? method : `${method} of kind ${kind}`);

/** Of two rules for the same, the one that allows more. */
function distinct(rules: readonly NewRule[]): NewRule[] {
  const same = (one: NewRule, other: NewRule): boolean => one.method === other.method && one.kind === other.kind;
  const uses = ({ cap }: NewRule): number => cap?.uses ?? Infinity;
  return rules.filter((rule, index) => !rules.some((other, place) => same(rule, other) && (uses(other) > uses(rule) || (uses(other) === uses(rule) && place < index))));
}
