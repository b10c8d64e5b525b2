import type { PublicKey } from "../model.js";
import type { Rest, Store } from "../store/store.js";
import { NotOpened, type Keyring, type OpenKey } from "./keyring.js";
import { isDamage, openLegacy } from "./legacy.js";
import { requirePlainName } from "./names.js";
import { DEFAULT_LOG_N, DEFAULT_MOST_LOG_N, sealKey, unsealKey, WrongPassphrase } from "./nip49.js";
import { newSecretKey, publicKeyOf } from "./secretKey.js";

export interface KeyringArgs {
  readonly store: Store;
  readonly log: (level: "info" | "warn" | "error", line: string) => void;
  /** The bunker's own: no key may be the same, for its requests would go to the admins' ear. */
  readonly reserved?: PublicKey;
  /** scrypt's cost for what is sealed here, as a power of two. */
  readonly logN?: number;
  /** The highest cost that is tried when a key is opened. */
  readonly mostLogN?: number;
}

/** The keyring of a store: every key is locked. */
export function openKeyring({ store, log, reserved, logN = DEFAULT_LOG_N, mostLogN = DEFAULT_MOST_LOG_N }: KeyringArgs): Keyring {
  const open = new Map<string, OpenKey>();
  const byPublicKey = new Map<PublicKey, OpenKey>();
  const opening = new Map<string, { readonly passphrase: string; readonly done: Promise<void> }>();
  const listeners: (() => void)[] = [];
  /** How often a key was locked, and all of them: who locks must not find a key open a moment later because its opening was under way. */
  const locks = new Map<string, number>();
  let locksOfAll = 0;
  const locksOf = (name: string): number => locksOfAll + (locks.get(name) ?? 0);

  const changed = (): void => {
    for (const listener of listeners) {
      try {
        listener();
      } catch (error) {
        log("error", `keyring: who listens for changes failed: ${(error as Error).message}`);
      }
    }
  };
  const restOf = (name: string): Rest => {
    const rest = store.keys.rest(name);
    if (rest === undefined) throw new NotOpened(name, "no-such-key", `There is no key named ${name}.`);
    return rest;
  };
  /** @param before how often it had been locked when this began */
  const hold = (name: string, before: number, publicKey: PublicKey, secretKey: Uint8Array): OpenKey => {
    if (locksOf(name) !== before) {
      secretKey.fill(0);
      restOf(name);
      throw new NotOpened(name, "locked", `The key ${name} stays locked: it was locked while it was being opened.`);
    }
    const key = { name, publicKey, secretKey };
    open.set(name, key);
    byPublicKey.set(publicKey, key);
    changed();
    return key;
  };
  const forget = (name: string): boolean => {
    locks.set(name, (locks.get(name) ?? 0) + 1);
    const key = open.get(name);
    if (key === undefined) return false;
    open.delete(name);
    byPublicKey.delete(key.publicKey);
    key.secretKey.fill(0);
    return true;
  };

  /** Makes a change that stands on what was read. */
  const unchanged = (name: string, read: Rest, change: () => void): void => store.atomically(() => {
    if (JSON.stringify(restOf(name)) !== JSON.stringify(read)) throw new Error(`The key ${name} was changed by somebody else at the same time. Try again.`);
    change();
  });

  const secretIn = async (name: string, rest: Rest, passphrase: string): Promise<Uint8Array> => {
    try {
      return rest.at === "legacy" ? openLegacy(rest, passphrase) : await unsealKey(rest.text, passphrase, mostLogN);
    } catch (error) {
      if (error instanceof WrongPassphrase) throw new NotOpened(name, "wrong-passphrase", `The key ${name} was not opened: ${error.message}.`);
      if (isDamage(error)) throw new NotOpened(name, "damaged", `The key ${name} cannot be opened: ${(error as Error).message}. Restore it from a backup.`);
      throw error;
    }
  };
  const knownAs = (name: string): PublicKey | undefined => store.keys.all().find((key) => key.name === name)?.publicKey;
  /** Opened, and held against the public key that the store knows. */
  const proven = async (name: string, rest: Rest, passphrase: string): Promise<{ secretKey: Uint8Array; publicKey: PublicKey }> => {
    const secretKey = await secretIn(name, rest, passphrase);
    const known = knownAs(name);
    const publicKey = publicKeyIn(name, secretKey);
    if (known === undefined || known === publicKey) return { secretKey, publicKey };
    secretKey.fill(0);
    throw new NotOpened(name, "damaged", `The key ${name} cannot be used: it is stored as ${known}, and what its passphrase opens is ${publicKey}. Restore it from a backup.`);
  };

  const openNow = async (name: string, passphrase: string): Promise<void> => {
    const before = locksOf(name);
    const rest = restOf(name);
    const { secretKey, publicKey } = await proven(name, rest, passphrase);
    try {
      const text = rest.at === "legacy" ? await sealKey(secretKey, passphrase, logN) : rest.text;
      if (rest.at === "legacy" || knownAs(name) === undefined) unchanged(name, rest, () => store.keys.replace(name, { at: "ncryptsec", text }, publicKey));
      if (rest.at === "legacy") log("info", `keyring: ${name} came from nsecbunkerd and is sealed anew as NIP-49`);
    } catch (error) {
      secretKey.fill(0);
      throw error;
    }
    hold(name, before, publicKey, secretKey);
  };

  const lock = (name: string): void => {
    if (forget(name)) changed();
  };
  const sealed = async (secretKey: Uint8Array, passphrase: string): Promise<Rest> => ({ at: "ncryptsec", text: await sealKey(secretKey, requirePassphrase(passphrase), logN) });

  return {
    names: () => store.keys.all().map(({ name, publicKey }) => ({ name, ...(publicKey !== undefined && { publicKey }), open: open.has(name) ? "open" : "locked" })),
    find: (publicKey) => byPublicKey.get(publicKey),
    get: (name) => open.get(name),
    async unlock(name, passphrase) {
      for (;;) {
        if (open.has(name)) return "was-open";
        const current = opening.get(name);
        if (current === undefined) break;
        if (current.passphrase === passphrase) return current.done.then(() => "was-open");
        // Somebody else's passphrase says nothing of this one.
        await current.done.catch(() => undefined);
      }
      const done = openNow(name, passphrase).finally(() => opening.delete(name));
      opening.set(name, { passphrase, done });
      await done;
      return "opened";
    },
    lock,
    lockAll() {
      locksOfAll++;
      for (const name of [...open.keys()]) forget(name);
      changed();
    },
    async create(name, passphrase, given) {
      requirePlainName(name);
      const before = locksOf(name);
      const secretKey = given === undefined ? newSecretKey() : Uint8Array.from(given);
      const publicKey = publicKeyOf(secretKey);
      if (publicKey === reserved) throw new Error(`The key ${name} would be the bunker's own identity: give one of the two another key.`);
      store.keys.add(name, await sealed(secretKey, passphrase), publicKey);
      return hold(name, before, publicKey, secretKey);
    },
    async rotate(name, passphrase) {
      const before = locksOf(name);
      const old = restOf(name);
      (await proven(name, old, passphrase)).secretKey.fill(0);
      const secretKey = newSecretKey();
      const publicKey = publicKeyOf(secretKey);
      const rest = await sealed(secretKey, passphrase);
      unchanged(name, old, () => store.keys.succeed(name, rest, publicKey));
      const wasLocked = locksOf(name) !== before;
      forget(name);
      return hold(name, wasLocked ? before : locksOf(name), publicKey, secretKey);
    },
    remove(name) {
      store.keys.remove(name);
      forget(name);
      changed();
    },
    async export(name, passphrase) {
      const key = open.get(name);
      if (key === undefined) throw new Error(`The key ${name} is locked: unlock it, then export it.`);
      const secretKey = Uint8Array.from(key.secretKey);
      try {
        return await sealKey(secretKey, requirePassphrase(passphrase), logN);
      } finally {
        secretKey.fill(0);
      }
    },
    onChange: (listener) => { listeners.push(listener); },
  };
}

function publicKeyIn(name: string, secretKey: Uint8Array): PublicKey {
  try {
    return publicKeyOf(secretKey);
  } catch (error) {
    throw new NotOpened(name, "damaged", `The key ${name} cannot be used: ${(error as Error).message}. Restore it from a backup.`);
  }
}

function requirePassphrase(passphrase: string): string {
  if (passphrase === "") throw new Error("A passphrase wants one character at least: an empty one protects nothing.");
  return passphrase;
}
