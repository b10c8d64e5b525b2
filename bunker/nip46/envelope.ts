import * as nip44 from "nostr-tools/nip44";
import { finalizeEvent } from "nostr-tools/pure";
import type { OpenKey } from "../keyring/keyring.js";
import type { PublicKey, Time } from "../model.js";
import type { NostrEvent } from "../relays/relays.js";

/** NIP-46, Request Events and Response Events. */
export const requestKind = 24133;

/** Base64 characters of the longest content that is opened. Relays allow less; NIP-44 wants a bound before decoding. */
const longestContent = 512 * 1024;
/** First byte 2, in base64: NIP-44's version. What is not that costs no elliptic curve. */
const versionTwo = /^A[g-v]/;

/** Opens requests and seals answers. NIP-44 v2 alone: NIP-46 knows no other envelope. */
export interface Envelope {
  /** @returns undefined when it was not encrypted to this key by the event's author, or is damaged */
  open(event: NostrEvent, key: OpenKey): string | undefined;
  seal(text: string, key: OpenKey, to: PublicKey, now: Time): NostrEvent;
  /** NIP-44's conversation key of an open key and somebody. Remembered; not to be kept by the caller. @throws when `with` is no point of the curve */
  conversationKey(key: OpenKey, other: PublicKey): Uint8Array;
  /** Overwrites every conversation key: each is as good as its key for that conversation. */
  forget(): void;
}

/** @param remembered conversation keys; what was not used the longest is forgotten first */
export function createEnvelope(remembered = 1024): Envelope {
  const conversationKeys = new Map<string, Uint8Array>();

  const conversationKey: Envelope["conversationKey"] = (key, other) => {
    const name = `${key.publicKey} ${other}`;
    const conversation = conversationKeys.get(name) ?? nip44.getConversationKey(key.secretKey, other);
    conversationKeys.delete(name);
    conversationKeys.set(name, conversation);
    const [oldest] = conversationKeys;
    if (conversationKeys.size > remembered && oldest !== undefined) {
      oldest[1].fill(0);
      conversationKeys.delete(oldest[0]);
    }
    return conversation;
  };

  return {
    open(event, key) {
      if (event.content.length > longestContent || !versionTwo.test(event.content)) return undefined;
      try {
        return nip44.decrypt(event.content, conversationKey(key, event.pubkey));
      } catch (unreadable) {
        if (unreadable instanceof Error) return undefined;
        throw unreadable;
      }
    },
    seal: (text, key, to, now) => finalizeEvent({
      kind: requestKind,
      created_at: Math.floor(now / 1000),
      tags: [["p", to]],
      content: nip44.encrypt(text, conversationKey(key, to)),
    }, key.secretKey),
    conversationKey,
    forget() {
      for (const conversation of conversationKeys.values()) conversation.fill(0);
      conversationKeys.clear();
    },
  };
}
