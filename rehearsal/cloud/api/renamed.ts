import { z } from "zod";
import type { Call } from "./actions.js";
import { labels, name, read, requireFreeName } from "./input.js";
import type { Resource } from "./world.js";

/** Gives a resource the name and the labels of a `PUT`. */
export function renamed<T extends Resource>(call: Call, all: readonly T[], item: T, called: z.ZodType<string> = name): T {
  const wanted = read(z.looseObject({ name: called.optional(), labels: labels.optional() }), call.body);
  requireFreeName(all, wanted.name, item.id);
  return Object.assign(item, { ...(wanted.name === undefined ? {} : { name: wanted.name }), ...(wanted.labels === undefined ? {} : { labels: wanted.labels }) });
}
