import type { PublicKey } from "../model.js";

/** A key that is open. Exists in memory alone. */
export interface OpenKey {
  readonly name: string;
  readonly publicKey: PublicKey;
  readonly secretKey: Uint8Array;
}

/** Why a key did not open. `reason` is the vocabulary of log lines and metrics: a wrong passphrase is a warning, anything else an error. `locked`: somebody locked it meanwhile. */
export class NotOpened extends Error {
  constructor(readonly key: string, readonly reason: "no-such-key" | "wrong-passphrase" | "damaged" | "locked", message: string) {
    super(message);
  }
}

/** The keys of the store, and which of them are open. Everything that one process does with keys goes through one keyring. */
export interface Keyring {
  names(): { readonly name: string; readonly publicKey?: PublicKey; readonly open: "open" | "locked" }[];
  /** By public key, as requests name it. */
  find(publicKey: PublicKey): OpenKey | undefined;
  get(name: string): OpenKey | undefined;
  /** Idempotent: an open key is left alone, and two calls at once open it once. An entry of nsecbunkerd's is sealed anew as NIP-49 and replaced. @throws NotOpened */
  unlock(name: string, passphrase: string): Promise<"opened" | "was-open">;
  /** Forgets the key; its bytes are overwritten. Locking what is locked is nothing. */
  lock(name: string): void;
  lockAll(): void;
  /** A new key, or the given one. On the disk, encrypted, before it returns. @throws when the name is taken or no plain name, when the passphrase is empty */
  create(name: string, passphrase: string, secretKey?: Uint8Array): Promise<OpenKey>;
  /** A new key under the old name, after the old one proved its passphrase; the old one's clients and tokens end. */
  rotate(name: string, passphrase: string): Promise<OpenKey>;
  remove(name: string): void;
  /** NIP-49 text, sealed anew under the passphrase that is given. Wants the key open. */
  export(name: string, passphrase: string): Promise<string>;
  /** Called after a key was opened, locked, made, rotated or removed. */
  onChange(listener: () => void): void;
}
