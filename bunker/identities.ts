import { lstatSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import * as nip19 from "nostr-tools/nip19";
import { getPublicKey } from "nostr-tools/pure";
import type { Holds } from "./admin/holds.js";
import { writeSynced } from "./files.js";
import { NotOpened, type Keyring } from "./keyring/keyring.js";
import type { Log } from "./log.js";
import type { Time } from "./model.js";
import { publicKeyIn, secretKeyIn } from "./settings.js";
import type { Store } from "./store/store.js";

export interface IdentitiesArgs {
  readonly dataFolder: string;
  readonly store: Store;
  readonly keyring: Keyring;
  readonly holds: Holds;
  /** The one that unlocks at the start. Without it, nothing is taken. */
  readonly passphrase: string | undefined;
  readonly now: () => Time;
  readonly log: Log;
}

const LONGEST = 1000;

/**
 * Takes what the host's gate placed in `<data>/identities/<name>` into the keystore, under the passphrase that unlocks at the start. Only once the key rests there and
 * that passphrase opens it is the file replaced by one that holds the public key alone. A key that does not fit is an error by its name, and the others go on.
 */
export async function takeIdentities(args: IdentitiesArgs): Promise<void> {
  for (const name of namesIn(join(args.dataFolder, "identities"))) {
    const path = join(args.dataFolder, "identities", name);
    try {
      await take(path, name, args);
    } catch (error) {
      args.log("error", `identities: ${name}: ${error instanceof Error ? error.message : "could not be taken"}`);
    }
  }
}

function namesIn(folder: string): string[] {
  try {
    // The gate's own halves, and what a killed bunker left of a replacement.
    return readdirSync(folder).filter((name) => !name.startsWith(".") && !/\.(holdfast|new)$/.test(name)).sort();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}

async function take(path: string, name: string, args: IdentitiesArgs): Promise<void> {
  const { keyring, log } = args;
  const { size } = regular(path);
  if (size > LONGEST) throw new Error(`${path} is too long for a key. It wants nsec1….`);
  const text = readFileSync(path, "utf8").trim();
  const known = keyring.names().find((key) => key.name === name);

  const publicKey = text.startsWith("npub1") ? publicKeyIn(text) : undefined;
  if (publicKey !== undefined) {
    if (known === undefined) throw new Error(`${path} says that the keystore holds ${text}, and it does not. Restore the bunker's backup, or have the gate place the identity again. Nothing is made up in its place.`);
    if (known.publicKey !== undefined && known.publicKey !== publicKey) throw new Error(otherKey(path, publicKey, known.publicKey));
    return;
  }

  const secretKey = secretKeyIn(text);
  if (secretKey === undefined) throw new Error(`${path} holds no identity: it wants nsec1…, or the npub1… that the bunker leaves. Have the gate place it again.`);
  const given = getPublicKey(secretKey);
  if (known?.publicKey !== undefined && known.publicKey !== given) throw new Error(otherKey(path, given, known.publicKey));
  await rest(path, name, secretKey, given, args);
  writeSynced(path, `${nip19.npubEncode(given)}\n`);
  log("info", `identities: ${name} rests in the keystore, and ${path} holds its public key alone`);
}

function regular(path: string): { readonly size: number } {
  const found = lstatSync(path);
  if (!found.isFile()) throw new Error(`${path} is no plain file. Remove it, and have the gate place the identity again.`);
  return found;
}

/** Afterwards the key is in the keystore, and the passphrase of the start was seen to open it. */
async function rest(path: string, name: string, secretKey: Uint8Array, publicKey: string, { store, keyring, holds, passphrase, now }: IdentitiesArgs): Promise<void> {
  if (passphrase === undefined) throw new Error(`${path} waits to be sealed into the keystore, and there is no passphrase to seal it under. Set NSECBUNKER_AUTOUNLOCK_PASSPHRASE_FILE, or bring it in with create_new_key and remove the file.`);
  if (!keyring.names().some((key) => key.name === name)) {
    await keyring.create(name, passphrase, secretKey);
    store.audit.append({ action: "take_identity", who: "bunker", keyName: name, outcome: "allowed" }, now());
  } else {
    await keyring.unlock(name, passphrase).catch((error: unknown) => {
      if (error instanceof NotOpened) throw new Error(`${path} holds a key that rests in the keystore already, and the passphrase of the start does not open it there (${error.reason}). The file is left as it is. Give the keystore's passphrase, or delete the key there (delete_key ${name}) so that it is sealed anew.`);
      throw error;
    });
    const opened = keyring.get(name)?.publicKey;
    if (opened !== publicKey) throw new Error(otherKey(path, publicKey, opened ?? "another key"));
  }
  if (holds.names().has(name)) keyring.lock(name);
}

const otherKey = (path: string, given: string, kept: string): string => `${path} is for the public key ${given}, and the keystore has ${kept} under this name. Decide which is right: have the gate place the other one, or delete_key and start again. Neither was changed.`;
