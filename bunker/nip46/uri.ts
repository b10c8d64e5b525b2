import { parseJson } from "./request.js";
import type { PublicKey } from "../model.js";

/** What a client says of itself. For display alone: nobody vouches for it. @see NIP-46, Client metadata */
export interface Metadata {
  readonly name?: string;
  readonly url?: string;
  readonly image?: string;
}

/** A permission that a client wishes for, as it writes it: `sign_event:4`, `nip44_decrypt`. */
export interface Wish {
  readonly method: string;
  readonly parameter?: string;
}

/** What a client shows to have itself connected. */
export interface ClientOffer {
  readonly client: PublicKey;
  /** Where it listens. At least one. */
  readonly relays: readonly string[];
  /** Returned to it: proves that the answer is to this offer. */
  readonly secret: string;
  readonly perms: readonly Wish[];
  readonly metadata: Metadata;
}

const publicKeyForm = /^[0-9a-f]{64}$/;
const mostRelays = 20;
const longestSecret = 256;

/** `bunker://`, which a person gives to a client. @see NIP-46, Direct connection initiated by remote-signer */
export function printBunkerUri(publicKey: PublicKey, relays: readonly string[], secret?: string): string {
  const query = new URLSearchParams(relays.map((relay): [string, string] => ["relay", relay]));
  if (secret !== undefined) query.set("secret", secret);
  return `bunker://${publicKey}?${query}`;
}

/** `nostrconnect://`, which a client gives to a person. @see NIP-46, Direct connection initiated by the client */
export function printNostrConnectUri(offer: ClientOffer): string {
  const query = new URLSearchParams(offer.relays.map((relay): [string, string] => ["relay", relay]));
  query.set("secret", offer.secret);
  if (offer.perms.length > 0) query.set("perms", offer.perms.map(({ method, parameter }) => (parameter === undefined ? method : `${method}:${parameter}`)).join(","));
  for (const [name, value] of Object.entries(offer.metadata)) query.set(name, value);
  return `nostrconnect://${offer.client}?${query}`;
}

/**
 * Reads a `nostrconnect://`. The `metadata` parameter of older clients (JSON) is read too.
 *
 * @throws with what is missing or wrong, in words for the person who pasted it; the secret is never part of it
 */
export function parseNostrConnectUri(text: string): ClientOffer {
  const [, client, query] = /^nostrconnect:\/\/([^?/]*)\/?\?(.*)$/s.exec(text.trim()) ?? [];
  if (client === undefined) throw new Error("this is no nostrconnect:// address; copy the whole text that the client shows");
  if (!publicKeyForm.test(client)) throw new Error("the nostrconnect:// address names no client: 64 hex digits belong between :// and ?");

  const parameters = new URLSearchParams(query);
  const relays = [...new Set(parameters.getAll("relay"))].filter(isRelay).slice(0, mostRelays);
  if (relays.length === 0) throw new Error("the nostrconnect:// address names no relay (relay=wss://…), so its client cannot be answered");
  const secret = parameters.get("secret") ?? "";
  if (secret === "") throw new Error("the nostrconnect:// address has no secret, which NIP-46 demands: anybody could answer it; use a newer version of the client");
  if (secret.length > longestSecret) throw new Error(`the secret of the nostrconnect:// address is longer than ${longestSecret} characters`);

  const older = parseMetadata(parameters.get("metadata") ?? "");
  const newer = metadataOf(Object.fromEntries(parameters));
  return { client, relays, secret, perms: parsePerms(parameters.get("perms") ?? ""), metadata: { ...older, ...newer } };
}

/** A comma-separated list of `method[:parameter]`. @see NIP-46, Requested permissions */
export function parsePerms(text: string): Wish[] {
  return text.split(",").map((wish) => wish.trim()).filter((wish) => wish !== "").slice(0, 100).map((wish) => {
    const [method = "", parameter] = wish.split(":", 2);
    return parameter === undefined ? { method } : { method, parameter };
  });
}

/** The JSON that `connect` has as its fourth parameter. What is none, or no text, is left out. */
export function parseMetadata(text: string): Metadata {
  const value = parseJson(text);
  return typeof value === "object" && value !== null ? metadataOf(value as Record<string, unknown>) : {};
}

function metadataOf(fields: Record<string, unknown>): Metadata {
  const shown = (["name", "url", "image"] as const).flatMap((field) => {
    const value = fields[field];
    const text = typeof value === "string" ? printable(value, field === "name" ? 64 : 512) : "";
    return text === "" ? [] : [[field, text] as const];
  });
  return Object.fromEntries(shown);
}

/** No control, format or line-breaking characters: the text is shown in terminals and to people who decide by it. */
function printable(text: string, longest: number): string {
  const clean = text.slice(0, 4 * longest).replace(/[\p{C}\p{Zl}\p{Zp}]/gu, "").trim();
  return [...clean].slice(0, longest).join("");
}

function isRelay(text: string): boolean {
  if (text.length > 512 || !URL.canParse(text)) return false;
  const { protocol, username, password } = new URL(text);
  return (protocol === "wss:" || protocol === "ws:") && username === "" && password === "";
}
