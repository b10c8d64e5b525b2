import * as nip19 from "nostr-tools/nip19";
import type { AdminContext, AdminMethod } from "./method.js";
import { method } from "./method.js";
import { keyName, nsec, passphrase } from "./params.js";

/** Methods on keys. Results of the first three are nsecbunkerd's. */
export const keyMethods = {
  /** `npub` is there for open keys alone: that is how clients of nsecbunkerd see which are locked. */
  get_keys: method("never", [], ({ store, keyring }) => keyring.names().map(({ name, publicKey, open }) => ({
    name,
    ...(open === "open" && publicKey !== undefined ? { npub: nip19.npubEncode(publicKey) } : {}),
    userCount: store.clients.of(name).length,
    tokenCount: store.tokens.of(name).length,
  }))),

  /** Answers only once relays send what is for the new key: a client may connect at once. */
  create_new_key: method("around", [keyName, passphrase, nsec], async (context, [name, words, secretKey]) => {
    const { publicKey } = await unlessHeld(context, name, () => context.keyring.create(name, words, secretKey));
    context.holds.release(name);
    await context.listen();
    return { npub: nip19.npubEncode(publicKey) };
  }),

  unlock_key: method("around", [keyName, passphrase], async (context, [name, words]) => {
    await unlessHeld(context, name, () => context.keyring.unlock(name, words));
    context.holds.release(name);
    await context.listen();
    return { success: true };
  }, (error) => ({ success: false, error })),

  /** Stays locked over restarts, until `unlock_key`. */
  lock: method("with", [keyName], ({ store, keyring, holds }, [name]) => {
    if (!store.keys.all().some((key) => key.name === name)) throw new Error(`There is no key ${name}.`);
    keyring.lock(name);
    holds.hold(name);
    return ["ok"];
  }),

  /** The panic lock: every key is forgotten before anything else happens, and stays locked over restarts until `unlock_key`. */
  lock_all: method("with", [], ({ store, keyring, holds }) => {
    keyring.lockAll();
    holds.holdAll(store.keys.all().map((key) => key.name));
    return ["ok"];
  }),

  delete_key: method("with", [keyName], (context, [name]) => {
    context.keyring.remove(name);
    context.holds.release(name);
    void context.listen();
    return ["ok"];
  }),

  rotate_key: method("around", [keyName, passphrase], async (context, [name, words]) => {
    const { publicKey } = await unlessHeld(context, name, () => context.keyring.rotate(name, words));
    context.holds.release(name);
    await context.listen();
    return { npub: nip19.npubEncode(publicKey) };
  }),

  /** The passphrase is the export's own. */
  export_key: method("around", [keyName, passphrase], async ({ keyring }, [name, words]) => ({ ncryptsec: await keyring.export(name, words) })),
} satisfies Readonly<Record<string, AdminMethod>>;

/** Does what opens a key. A lock that came while it was at work wins. */
async function unlessHeld<T>({ keyring, holds }: AdminContext, name: string, open: () => Promise<T>): Promise<T> {
  const before = holds.count(name);
  const result = await open();
  if (holds.count(name) === before) return result;
  keyring.lock(name);
  holds.hold(name);
  throw new Error(`Keys were locked while ${name} was being opened, and it was locked too. Unlock it again if that is meant.`);
}
