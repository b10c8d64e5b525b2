import { matchFilters, type Filter } from "nostr-tools/filter";
import type { NostrEvent } from "nostr-tools/pure";

/** Relays bound a message, often at 64 KiB: 500 public keys are half of that. */
const VALUES_OF_ONE = 500;

/** One round of subscriptions: what is asked for, and which part of it the relay has answered. */
export interface Round {
  readonly ids: readonly string[];
  /** Ready to be sent. */
  readonly requests: readonly string[];
  readonly unanswered: Set<string>;
  isAskedFor(event: NostrEvent): boolean;
}

/** @param since seconds; put into each filter */
export function round(number: number, filters: readonly Filter[], since: number): Round {
  const asked = filters.map((filter) => ({ ...filter, since }));
  const ids: string[] = [];
  const requests = packed(asked).map((group, index) => {
    const id = `${number}-${index}`;
    ids.push(id);
    return JSON.stringify(["REQ", id, ...group]);
  });
  return { ids, requests, unanswered: new Set(ids), isAskedFor: (event) => matchFilters(asked, event) };
}

/** Filters with very many `#p` are split, and as many as fit go into one request. */
function packed(filters: readonly Filter[]): Filter[][] {
  const groups: Filter[][] = [];
  let room = 0;
  for (const filter of filters.flatMap(split)) {
    const values = Object.values(filter).reduce((sum: number, value) => sum + (Array.isArray(value) ? value.length : 0), 0);
    if (values > room) {
      groups.push([]);
      room = VALUES_OF_ONE;
    }
    groups.at(-1)!.push(filter);
    room -= values;
  }
  return groups;
}

function split(filter: Filter): Filter[] {
  const to = filter["#p"];
  const most = VALUES_OF_ONE - 10;
  if (to === undefined || to.length <= most) return [filter];
  return Array.from({ length: Math.ceil(to.length / most) }, (_, part) => ({ ...filter, "#p": to.slice(part * most, (part + 1) * most) }));
}
