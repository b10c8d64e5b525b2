import type { Client } from "../model.js";
import type { Store } from "../store/store.js";
import { Unusable, type Method } from "./task.js";
import { parseMetadata } from "./uri.js";

/**
 * Redeems an invitation. A client that is bound already is welcome with whatever secret it brings, as clients say `connect` with the secret
 * they were given once at each of their starts; it gains nothing by it. @see NIP-46, Methods/Commands; the answer is `ack`, since NDK takes nothing else
 */
export const connect: Method = ([publicKey = "", secret = "", , metadata = ""], { key, sender, store, now }) => {
  if (publicKey !== "" && publicKey.toLowerCase() !== key.publicKey) throw new Unusable(`connect names another key than the one it was sent to, which is ${key.publicKey}`);
  const token = secret === "" ? undefined : store.tokens.find(key.name, secret, now);
  return {
    ...(token === undefined ? {} : { client: store.tokens.redeem(token.id, sender, now) }),
    ...(token === undefined && secret !== "" ? { refusal: "the secret is wrong, was used before or has expired; ask the key's owner for a new invitation" } : {}),
    perform() {
      const { name } = parseMetadata(metadata);
      if (name !== undefined) nameTheNameless(store, sender, name);
      return { result: "ack", note: token === undefined ? "was bound already" : `redeemed invitation ${token.id}` };
    },
  };
};

export const ping: Method = () => ({ perform: () => ({ result: "pong" }) });

export const getPublicKey: Method = (_params, { key }) => ({ perform: () => ({ result: key.publicKey }) });

/** Always a string, as results are: nostr-tools waits for ever on JSON's own null. */
export const switchRelays: Method = (_params, { relays }) => ({
  perform() {
    const urls = relays();
    return { result: urls.length === 0 ? "null" : JSON.stringify(urls) };
  },
});

/** Ends what `connect` began: only another invitation brings the client back. */
export const logout: Method = (_params, { client, store, now }) => ({
  perform() {
    if (client !== undefined) store.clients.revoke(client.id, now);
    return { result: "ack" };
  },
});

/** A name that a person gave is never replaced by one that a client gives itself. */
export function nameTheNameless(store: Store, publicKey: string, name: string): void {
  const bindings: Client[] = store.clients.all().filter((client) => client.publicKey === publicKey);
  if (bindings.every((client) => client.name === "")) store.clients.rename(publicKey, name);
}
