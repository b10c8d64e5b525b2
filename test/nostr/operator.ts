/** What tests of the whole bunker do as its operator. */
import * as nip19 from "nostr-tools/nip19";
import { printBunkerUri } from "../../bunker/nip46/uri.js";
import type { Running } from "../unit/bunker/program.js";

/** @returns the key's public key */
export async function newKey(running: Running, name: string, passphrase: string): Promise<string> {
  const { npub } = await running.call("create_new_key", [name, passphrase]) as { readonly npub: string };
  return nip19.decode(npub).data as string;
}

/** @returns the secret of a new invitation */
export async function newSecret(running: Running, keyName: string, clientName: string, policy = 1, hours?: number): Promise<string> {
  await running.call("create_new_token", [keyName, clientName, policy, ...(hours === undefined ? [] : [hours])]);
  const tokens = await running.call("get_key_tokens", [keyName]) as { readonly client_name: string; readonly token: string }[];
  return tokens.findLast(({ client_name }) => client_name === clientName)!.token.split("#")[1]!;
}

/** @returns the `bunker://` of a new invitation, at these relays */
export async function invite(running: Running, key: { readonly name: string; readonly publicKey: string }, relays: readonly string[], clientName: string, policy = 1, hours?: number): Promise<string> {
  return printBunkerUri(key.publicKey, relays, await newSecret(running, key.name, clientName, policy, hours));
}
