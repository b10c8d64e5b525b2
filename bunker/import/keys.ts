import { createHash } from "node:crypto";
import { z } from "zod";
import type { Keyring } from "../keyring/keyring.js";
import { requirePlainName } from "../keyring/names.js";
import { parseSecretKey, publicKeyOf } from "../keyring/secretKey.js";
import type { Key, PublicKey } from "../model.js";
import type { Store } from "../store/store.js";
import { draftReport, type Draft, type ImportReport } from "./report.js";

/**
 * One of `keys` in `nsecbunker.json`: an encrypted nsec, or a secret key in clear, in hex.
 *
 * @see nsecbunkerd 0.10.5, src/commands/add.ts and src/daemon/admin/commands/create_account.ts
 */
const entrySchema = z.union([z.object({ iv: z.string(), data: z.string() }), z.object({ key: z.string() })]);

export interface ImportKeysArgs {
  /** `keys` of the configuration. */
  readonly entries: Readonly<Record<string, unknown>>;
  readonly store: Store;
  readonly keyring: Keyring;
  /** Encrypts keys that lie in clear. Absent: they stay out. */
  readonly passphrase?: string;
  /** What the predecessor's database knows of the keys. */
  readonly known?: ReadonlyMap<string, PublicKey>;
}

/**
 * Brings the keys of nsecbunkerd's configuration into the store, each once: one that was deleted here since does not come back. The file is not changed.
 *
 * Encrypted ones come as they are, damaged ones too, and are sealed anew when they are first opened. Never throws for the sake of one key.
 */
export async function importKeys({ entries, store, keyring, passphrase, known = new Map() }: ImportKeysArgs): Promise<ImportReport> {
  const report = draftReport();
  for (const [name, value] of Object.entries(entries)) {
    try {
      requirePlainName(name);
      const parsed = entrySchema.safeParse(value);
      const stored = store.keys.all().find((key) => key.name === name);
      if (!parsed.success) report.leave(`key ${name}`, "its entry in the configuration has neither iv and data, nor key", "error");
      else if ("iv" in parsed.data) importEncrypted(name, parsed.data, known.get(name), stored, store, report);
      else await importClear(name, parsed.data.key, stored, passphrase, store, keyring, report);
    } catch (error) {
      report.leave(`key ${name}`, (error as Error).message, "error");
    }
  }
  return report.done();
}

const anotherKey = (here: PublicKey, there: PublicKey): string => `it is ${here} here and ${there} in what is imported: the one that is here stays. Give one of them another name`;

function importEncrypted(name: string, { iv, data }: { iv: string; data: string }, known: PublicKey | undefined, stored: Key | undefined, store: Store, report: Draft): void {
  const mark = markOf(name, `${iv}/${data}`);
  if (stored !== undefined) {
    if (known !== undefined && stored.publicKey !== undefined && known !== stored.publicKey) report.leave(`key ${name}`, anotherKey(stored.publicKey, known), "error");
    else if (!store.imports.has(mark)) report.leave(`key ${name}`, "there is a key of this name, and this entry is not the one it was made from: the one that is here stays");
    else report.seen();
  } else if (store.imports.has(mark)) report.seen();
  else {
    store.atomically(() => {
      store.keys.add(name, { at: "legacy", iv, data }, known);
      store.imports.mark(mark);
    });
    report.bring(`key ${name}, as nsecbunkerd encrypted it until it is first opened`);
  }
}

async function importClear(
  name: string, text: string, stored: Key | undefined, passphrase: string | undefined, store: Store, keyring: Keyring, report: Draft,
): Promise<void> {
  const secretKey = parseSecretKey(text);
  try {
    const publicKey = publicKeyOf(secretKey);
    const mark = markOf(name, publicKey);
    if (stored?.publicKey !== undefined && stored.publicKey !== publicKey) return report.leave(`key ${name}`, anotherKey(stored.publicKey, publicKey), "error");
    report.warn(`The key ${name} lies in clear in the configuration: delete it there once it works here.`);
    if (stored !== undefined || store.imports.has(mark)) report.seen();
    else if (passphrase === undefined) return report.leave(`key ${name}`, "it lies in clear in the configuration, and there is no passphrase to encrypt it under: it waits for unlock_key with one");
    else {
      await keyring.create(name, passphrase, secretKey);
      report.bring(`key ${name}, from clear, encrypted`);
    }
    store.imports.mark(mark);
  } finally {
    secretKey.fill(0);
  }
}

const markOf = (name: string, content: string): string => `nsecbunkerd/key/${createHash("sha256").update(`${name}/${content}`).digest("hex")}`;
