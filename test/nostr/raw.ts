/** A client that is nothing but what NIP-46 says, for tests that look at single events. */
import * as nip44 from "nostr-tools/nip44";
import { finalizeEvent, generateSecretKey, getPublicKey, type NostrEvent } from "nostr-tools/pure";
import { Relay } from "nostr-tools/relay";

export interface RawAnswer {
  readonly id: string;
  readonly result?: string;
  readonly error?: string;
}

export interface RawClient {
  readonly publicKey: string;
  /** An event for the key: `body` encrypted for it, or as it is when it is a text. */
  event(body: object | string, change?: { readonly created_at?: number; readonly to?: string; readonly content?: string }): NostrEvent;
  /** Sends once, through one relay. @throws when the relay does not take it, or after the deadline */
  ask(url: string, method: string, params: readonly string[], deadlineMs: number): Promise<RawAnswer>;
}

/** @param key whom it talks to */
export function rawClient(key: string, secretKey: Uint8Array = generateSecretKey()): RawClient {
  const publicKey = getPublicKey(secretKey);
  const conversation = nip44.getConversationKey(secretKey, key);
  let last = 0;
  const client: RawClient = {
    publicKey,
    event: (body, { created_at = Math.floor(Date.now() / 1000), to = key, content } = {}) => finalizeEvent({
      kind: 24_133, created_at, tags: [["p", to]], content: content ?? nip44.encrypt(typeof body === "string" ? body : JSON.stringify(body), conversation),
    }, secretKey),
    ask: async (url, method, params, deadlineMs) => {
      const id = `raw-${++last}`;
      const relay = await Relay.connect(url);
      let timer: NodeJS.Timeout | undefined;
      try {
        return await new Promise<RawAnswer>((resolve, reject) => {
          timer = setTimeout(() => reject(new Error(`${method}: no answer through ${url} within ${deadlineMs} ms`)), deadlineMs);
          relay.subscribe([{ kinds: [24_133], authors: [key], "#p": [publicKey] }], {
            onevent: (event) => {
              const answer = JSON.parse(nip44.decrypt(event.content, conversation)) as RawAnswer;
              if (answer.id === id) resolve(answer);
            },
            oneose: () => relay.publish(client.event({ id, method, params })).catch(reject),
          });
        });
      } finally {
        clearTimeout(timer);
        relay.close();
      }
    },
  };
  return client;
}
