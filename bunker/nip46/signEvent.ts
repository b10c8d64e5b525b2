import { finalizeEvent } from "nostr-tools/pure";
import { parseJson } from "./request.js";
import { Unusable, type Method } from "./task.js";

/** Signs an event. The audit's hash is the event's id: that is the SHA-256 that is signed. @see NIP-01, NIP-46 */
export const signEvent: Method = ([text = ""], { key }) => {
  const template = parseTemplate(text, key.publicKey);
  return {
    kind: template.kind,
    perform() {
      const { id, pubkey, created_at, kind, tags, content, sig } = finalizeEvent(template, key.secretKey);
      return { result: JSON.stringify({ id, pubkey, created_at, kind, tags, content, sig }), contentHash: id };
    },
  };
};

interface Template {
  readonly kind: number;
  readonly content: string;
  readonly tags: string[][];
  readonly created_at: number;
}

/** Whether the time makes sense is the client's business. */
function parseTemplate(text: string, publicKey: string): Template {
  const value = parseJson(text);
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new Unusable("sign_event wants the JSON text of an event as its first parameter");
  const { kind, content, tags, created_at, pubkey } = value as { readonly [field in keyof Template | "pubkey"]?: unknown };
  if (!isCount(kind) || kind > 65535) throw new Unusable("the event's kind must be an integer from 0 to 65535");
  if (typeof content !== "string") throw new Unusable("the event's content must be a string");
  if (!isTags(tags)) throw new Unusable("the event's tags must be an array of arrays of strings");
  if (!isCount(created_at)) throw new Unusable("the event's created_at must be a whole number of seconds since 1970");
  if (pubkey !== undefined && pubkey !== publicKey) throw new Unusable(`the event names another pubkey than this key's, which is ${publicKey}`);
  return { kind, content, tags, created_at };
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isTags(value: unknown): value is string[][] {
  return Array.isArray(value) && value.every((tag) => Array.isArray(tag) && tag.every((item) => typeof item === "string"));
}
