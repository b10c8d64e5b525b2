import * as nip04 from "nostr-tools/nip04";
import * as nip44 from "nostr-tools/nip44";
import { finalizeEvent } from "nostr-tools/pure";
import { z } from "zod";
import type { PublicKey } from "../model.js";
import type { NostrEvent } from "../relays/relays.js";
import { callMethod, type Answer } from "./call.js";
import type { AdminContext } from "./method.js";

/** What became of an event for the bunker's own identity. For metrics. */
export type AdminOutcome = "answered" | "failed" | "stranger" | "stale" | "future" | "replayed" | "malformed" | "busy" | "unheard";

/** Older, and later, events are not answered. As for clients' requests. */
const OLDEST_MS = 600_000;
const LATEST_MS = 120_000;
/** More at once are refused: each may cost a scrypt. */
const AT_ONCE = 32;
/** NIP-44 takes no longer plaintext. */
const LONGEST = 65_535;

export interface AdminRpcArgs {
  readonly context: AdminContext;
  readonly identity: { readonly secretKey: Uint8Array; readonly publicKey: PublicKey };
  readonly admins: ReadonlySet<PublicKey>;
  /** Resolves with the relays that took it. */
  readonly publish: (event: NostrEvent) => Promise<readonly string[]>;
}

export interface AdminRpc {
  /** Never throws, whatever the event is. Its id and signature are verified already. */
  handle(event: NostrEvent): Promise<AdminOutcome>;
}

const requestSchema = z.looseObject({ id: z.string().max(200), method: z.string().max(200), params: z.array(z.unknown()).max(20).default([]) });

type Envelope = "nip04" | "nip44";

/**
 * Serves the admin RPC of nsecbunkerd: kind 24134, and 24133 for the bunker's own identity. Replies have the request's kind and envelope.
 * Whoever is no admin is answered nothing and costs nothing: the sender is looked at before anything is decrypted.
 */
export function createAdminRpc({ context, identity, admins, publish }: AdminRpcArgs): AdminRpc {
  let inHand = 0;

  const handle = async (event: NostrEvent): Promise<AdminOutcome> => {
    if (!admins.has(event.pubkey)) return "stranger";
    const at = event.created_at * 1000;
    if (at < context.now() - OLDEST_MS) return "stale";
    if (at > context.now() + LATEST_MS) return "future";
    const envelope: Envelope = event.content.includes("?iv=") ? "nip04" : "nip44";
    const request = requestIn(open(event, envelope, identity.secretKey));
    if (request === undefined) return "malformed";
    if (context.store.replays.remember(event.id, at + OLDEST_MS) === "seen") return "replayed";

    const answer: Answer | "busy" = inHand >= AT_ONCE ? "busy" : await call(request.method, request.params, event.pubkey);
    const reply = answer === "busy" ? { result: "error", error: "busy: too many requests at once, ask again" } : replyOf(answer);
    const taken = await publish(sealed(event, envelope, { id: request.id, ...reply }));
    if (taken.length === 0) return "unheard";
    return answer === "busy" ? "busy" : answer.is === "done" ? "answered" : "failed";
  };

  const call = async (method: string, params: readonly unknown[], who: string): Promise<Answer> => {
    inHand += 1;
    try {
      return await callMethod(context, method, params, who);
    } finally {
      inHand -= 1;
    }
  };

  const sealed = (event: NostrEvent, envelope: Envelope, reply: { readonly id: string; readonly result: string; readonly error?: string }): NostrEvent => {
    const full = JSON.stringify(reply);
    const text = Buffer.byteLength(full) <= LONGEST ? full : JSON.stringify({ id: reply.id, result: "error", error: "the answer is too long for an event: ask at the host, with holdfast-bunker call" });
    const content = envelope === "nip04" ? nip04.encrypt(identity.secretKey, event.pubkey, text) : nip44.encrypt(text, nip44.getConversationKey(identity.secretKey, event.pubkey));
    return finalizeEvent({ kind: event.kind, created_at: Math.floor(context.now() / 1000), tags: [["p", event.pubkey]], content }, identity.secretKey);
  };

  return {
    handle: async (event) => {
      try {
        return await handle(event);
      } catch (error) {
        context.log("error", `admin: a request could not be served: ${error instanceof Error ? error.message : "unknown"}`);
        return "failed";
      }
    },
  };
}

function open(event: NostrEvent, envelope: Envelope, secretKey: Uint8Array): string | undefined {
  try {
    return envelope === "nip04" ? nip04.decrypt(secretKey, event.pubkey, event.content) : nip44.decrypt(event.content, nip44.getConversationKey(secretKey, event.pubkey));
  } catch {
    // Not for us, or damaged: counted as malformed.
    return undefined;
  }
}

function requestIn(text: string | undefined): z.infer<typeof requestSchema> | undefined {
  if (text === undefined) return undefined;
  try {
    return requestSchema.safeParse(JSON.parse(text)).data;
  } catch {
    // No JSON: counted as malformed.
    return undefined;
  }
}

/** Results are texts: JSON, but for `ok`. */
function replyOf(answer: Answer): { readonly result: string; readonly error?: string } {
  if (answer.is === "unknown") return { result: JSON.stringify(["error", answer.error]) };
  if (answer.is === "failed" && answer.result === undefined) return { result: "error", error: answer.error };
  return { result: typeof answer.result === "string" ? answer.result : JSON.stringify(answer.result) };
}
