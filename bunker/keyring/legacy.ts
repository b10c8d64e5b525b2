import { createDecipheriv, createHash } from "node:crypto";
import { NoNcryptsec, WrongPassphrase } from "./nip49.js";
import { NoSecretKey, parseSecretKey } from "./secretKey.js";

const BLOCK_BYTES = 16;

/** An entry of nsecbunkerd's that cannot be one. */
export class NoLegacyEntry extends Error {}

/** Whether an entry has the shape of nsecbunkerd's: hex, an initialisation vector of one block, whole blocks of data. */
export const isLegacyEntry = ({ iv, data }: { readonly iv: string; readonly data: string }): boolean =>
  /^[0-9a-f]{32}$/i.test(iv) && /^([0-9a-f]{32})+$/i.test(data);

/**
 * The secret key in an entry of nsecbunkerd's: its nsec's text under AES-256-CBC, keyed by the unsalted SHA-256 of the passphrase, in hex.
 *
 * There is no MAC. A wrong passphrase passes the padding once in 256 times and yields noise, which is no nsec: it is called a wrong passphrase then too.
 *
 * @throws NoLegacyEntry, WrongPassphrase
 * @see nsecbunkerd 0.10.5, src/config/keys.ts
 */
export function openLegacy(entry: { readonly iv: string; readonly data: string }, passphrase: string): Uint8Array {
  if (!isLegacyEntry(entry)) throw new NoLegacyEntry(`it is no entry of nsecbunkerd's: its iv wants ${BLOCK_BYTES} bytes and its data whole blocks of ${BLOCK_BYTES}, both in hex`);
  const plaintext = decrypt(entry, createHash("sha256").update(passphrase).digest());
  try {
    return parseSecretKey(plaintext.toString());
  } catch (error) {
    if (!(error instanceof NoSecretKey)) throw error;
    throw new WrongPassphrase("what this passphrase opens is no key: it is the wrong one, or the entry was changed", { cause: error });
  } finally {
    plaintext.fill(0);
  }
}

function decrypt({ iv, data }: { readonly iv: string; readonly data: string }, key: Buffer): Buffer {
  const decipher = createDecipheriv("aes-256-cbc", key, Buffer.from(iv, "hex"));
  const first = decipher.update(Buffer.from(data, "hex"));
  try {
    return Buffer.concat([first, decipher.final()]);
  } catch (error) {
    throw new WrongPassphrase("this passphrase does not open it", { cause: error });
  } finally {
    first.fill(0);
    key.fill(0);
  }
}

/** Whether an error says that what lies there can be opened by no passphrase. */
export const isDamage = (error: unknown): boolean => error instanceof NoLegacyEntry || error instanceof NoNcryptsec || error instanceof NoSecretKey;
