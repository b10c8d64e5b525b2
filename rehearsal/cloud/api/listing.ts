import { invalidInput } from "./errors.js";
import { selects } from "./labels.js";
import type { Resource } from "./world.js";

export interface Page {
  readonly items: readonly object[];
  readonly meta: { readonly pagination: Readonly<Record<"page" | "per_page" | "previous_page" | "next_page" | "last_page" | "total_entries", number | null>> };
}

function whole(query: URLSearchParams, name: string, usual: number, most: number): number {
  const text = query.get(name);
  const number = text === null ? usual : Number(text);
  if (!Number.isInteger(number) || number < 1) throw invalidInput({ name, messages: ["must be a positive integer"] });
  return Math.min(number, most);
}

/** One page of a list: 25 entries unless asked for more, 50 at most. */
export function paged(items: readonly object[], query: URLSearchParams): Page {
  const [page, perPage] = [whole(query, "page", 1, Number.MAX_SAFE_INTEGER), whole(query, "per_page", 25, 50)];
  const last = Math.max(1, Math.ceil(items.length / perPage));
  return {
    items: items.slice((page - 1) * perPage, page * perPage),
    meta: { pagination: { page, per_page: perPage, previous_page: page > 1 ? Math.min(page - 1, last) : null, next_page: page < last ? page + 1 : null, last_page: last, total_entries: items.length } },
  };
}

/** The entries whose field is one of the values asked for; all when none is asked for. */
export function having<T>(items: readonly T[], query: URLSearchParams, name: string, field: (item: T) => string | undefined): T[] {
  const wanted = query.getAll(name);
  return wanted.length === 0 ? [...items] : items.filter((item) => wanted.includes(field(item) ?? ""));
}

/** By name and label selector, as every list of resources can be asked. */
export function asked<T extends Pick<Resource, "name" | "labels">>(items: readonly T[], query: URLSearchParams): T[] {
  const selector = query.get("label_selector");
  const matches = selector === null || selector === "" ? (): boolean => true : selects(selector);
  return having(items, query, "name", ({ name }) => name).filter(({ labels }) => matches(labels));
}

/** `sort=name:desc&sort=id`: the first one counts most. */
export function sorted<T extends object>(items: readonly T[], query: URLSearchParams, fields: readonly string[]): T[] {
  const keys = query.getAll("sort").flatMap((one) => one.split(",")).map((one) => one.split(":") as [string, string?]);
  const wrong = keys.find(([field, direction]) => !fields.includes(field) || !["asc", "desc", undefined].includes(direction));
  if (wrong) throw invalidInput({ name: "sort", messages: [`'${wrong.join(":")}' is not one of ${fields.join(", ")}`] });
  const value = (item: T, field: string): string | number => (item as Record<string, string | number | null>)[field] ?? "";
  return [...items].sort((one, other) => {
    for (const [field, direction] of keys) {
      const [a, b] = [value(one, field), value(other, field)];
      if (a !== b) return (a < b ? -1 : 1) * (direction === "desc" ? -1 : 1);
    }
    return 0;
  });
}
