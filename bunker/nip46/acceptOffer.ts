import { randomBytes } from "node:crypto";
import type { PublicKey } from "../model.js";
import type { Envelope } from "./envelope.js";
import { nameTheNameless } from "./presence.js";
import type { SignerArgs } from "./signer.js";
import { parseNostrConnectUri, type ClientOffer } from "./uri.js";

/**
 * Makes the client of a `nostrconnect://` a client of a key, and tells it so where it listens. Can be done again: the client then has the policy that is named last.
 *
 * @throws when the text is none, the key is not open, there is no such policy, or no relay took the answer
 * @see NIP-46, Direct connection initiated by the client
 */
export async function acceptOffer(
  { store, keyring, publish, now, envelope }: SignerArgs & { readonly envelope: Envelope }, uri: string, keyName: string, policyId: number,
): Promise<{ readonly client: PublicKey; readonly relays: readonly string[] }> {
  const offer = parseNostrConnectUri(uri);
  const key = keyring.get(keyName);
  if (key === undefined) throw new Error(`the key ${keyName} is locked or not there, so it cannot answer the client; unlock it first`);
  if (store.policies.get(policyId) === undefined) throw new Error(`there is no policy ${policyId}; get_policies lists those there are`);

  store.atomically(() => {
    const clientId = bind(offer);
    const deed = { action: "connect", who: offer.client, keyName, outcome: "allowed", note: `nostrconnect, policy ${policyId}` } as const;
    store.record(deed, now(), { clientId });
  });
  const response = envelope.seal(JSON.stringify({ id: randomBytes(8).toString("hex"), result: offer.secret }), key, offer.client, now());
  const took = await publish(response, offer.relays);
  if (took.length === 0) throw new Error(`the client is bound to ${keyName}, but no relay took the answer to it (it listens on ${offer.relays.join(", ")}); try again when one of them can be reached`);
  return { client: offer.client, relays: offer.relays };

  /** By an invitation that is redeemed at once where there is an older binding: that alone replaces policy and end. */
  function bind({ client, metadata }: ClientOffer): number {
    if (store.clients.find(keyName, client) === undefined) return store.clients.add({ keyName, publicKey: client, name: metadata.name ?? "", policyId }).id;
    if (metadata.name !== undefined) nameTheNameless(store, client, metadata.name);
    const token = store.tokens.add({ keyName, clientName: metadata.name ?? "", policyId });
    return store.tokens.redeem(token.id, client, now()).id;
  }
}
