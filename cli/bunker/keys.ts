import { z } from "zod";
import { clientsOf } from "./grants.js";
import { keyCalled, type AskBunker } from "./host.js";

/** What ends with a key: a sentence for whoever is asked. @throws naming the keys that there are */
export async function endsWith(ask: AskBunker, name: string): Promise<string> {
  await keyCalled(ask, name);
  const { clients, pending } = await clientsOf(ask, name);
  const live = clients.filter(({ revokedAt }) => revokedAt === undefined).length;
  return `With ${name} ends the access of ${live} clients and ${pending.length} invitations.`;
}

/** Takes a key off the node. A copy in a backup is all that is left of it. */
export async function deleteKey(ask: AskBunker, name: string): Promise<void> {
  await ask(z.tuple([z.literal("ok")]), "delete_key", [name]);
}

/** A new key under the old name, sealed under the passphrase that unlocks at the bunker's start, which must open the old one. @returns its npub */
export async function rotateKey(ask: AskBunker, name: string): Promise<string> {
  return (await ask(z.object({ npub: z.string() }), "rotate_key", [name], "hosts")).npub;
}
