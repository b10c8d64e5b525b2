import type { Request } from "./signer.js";

const longestId = 256;
const longestMethod = 64;
const mostParams = 8;

/** `fault`: it has an id, so its sender can be told what is wrong. */
export type Parsed = { readonly request: Request } | { readonly id: string; readonly fault: string };

/**
 * A request out of its decrypted text.
 *
 * @returns undefined for what nobody waits for an answer to: no JSON, or no id and method. Above all for responses: answering one could go round for ever.
 * @see NIP-46, Request Events
 */
export function parseRequest(text: string): Parsed | undefined {
  const value = parseJson(text);
  if (typeof value !== "object" || value === null) return undefined;
  const { id, method, params } = value as { readonly id?: unknown; readonly method?: unknown; readonly params?: unknown };
  if (typeof id !== "string" || id.length === 0 || id.length > longestId) return undefined;
  if (typeof method !== "string" || method.length === 0) return undefined;

  if (method.length > longestMethod) return { id, fault: `the method's name is longer than ${longestMethod} characters` };
  if (params !== undefined && !Array.isArray(params)) return { id, fault: "params must be an array of strings" };
  const list: unknown[] = params ?? [];
  if (list.length > mostParams) return { id, fault: `no method has more than ${mostParams} params` };
  const strings = list.map((param) => param ?? "");
  return strings.every((param) => typeof param === "string")
    ? { request: { id, method, params: strings } }
    : { id, fault: "params must be an array of strings; an event is passed as its JSON text" };
}

/** @returns undefined when the text is no JSON */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (fault) {
    if (fault instanceof SyntaxError) return undefined;
    throw fault;
  }
}
