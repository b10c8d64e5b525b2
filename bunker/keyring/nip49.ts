import { xchacha20poly1305 } from "@noble/ciphers/chacha.js";
import { bech32 } from "@scure/base";
import { randomBytes, scrypt } from "node:crypto";
import { promisify } from "node:util";

/** What was to be NIP-49 text and is not, or is more than this machine should try. */
export class NoNcryptsec extends Error {}
/** The text is whole, and this passphrase is not its own. */
export class WrongPassphrase extends Error {}

const PREFIX = "ncryptsec";
const VERSION = 2;
const SALT_BYTES = 16;
const NONCE_BYTES = 24;
const KEY_BYTES = 32;
/** version, log_n, salt, nonce, security byte, ciphertext with its tag */
const LENGTH = 1 + 1 + SALT_BYTES + NONCE_BYTES + 1 + KEY_BYTES + 16;
/** "The client does not track this." */
const UNTRACKED = 2;
const BLOCK = 8;

/** scrypt's cost: 2^16 takes 0.24 s and 64 MiB. */
export const DEFAULT_LOG_N = 16;
/** 1 GiB of memory. A text that wants more is refused: whoever can bring one must not take the machine down with it. */
export const DEFAULT_MOST_LOG_N = 20;

/**
 * A secret key encrypted under a passphrase, as text. Node's own scrypt runs beside the event loop.
 *
 * @param logN scrypt's cost as a power of two
 * @see NIP-49
 */
export async function sealKey(secretKey: Uint8Array, passphrase: string, logN: number = DEFAULT_LOG_N): Promise<string> {
  const salt = randomBytes(SALT_BYTES);
  const nonce = randomBytes(NONCE_BYTES);
  const key = await stretch(passphrase, salt, logN);
  try {
    const ciphertext = xchacha20poly1305(key, nonce, Uint8Array.of(UNTRACKED)).encrypt(secretKey);
    return bech32.encode(PREFIX, bech32.toWords(Buffer.concat([Uint8Array.of(VERSION, logN), salt, nonce, Uint8Array.of(UNTRACKED), ciphertext])), false);
  } finally {
    key.fill(0);
  }
}

/**
 * The 32 bytes of a secret key. The caller overwrites them when they are no longer needed.
 *
 * @param mostLogN the highest cost that is tried
 * @throws NoNcryptsec, WrongPassphrase: neither quotes what it was given
 * @see NIP-49. A changed salt, nonce or ciphertext cannot be told from a wrong passphrase; a changed text can, by bech32's checksum.
 */
export async function unsealKey(text: string, passphrase: string, mostLogN: number = DEFAULT_MOST_LOG_N): Promise<Uint8Array> {
  const { logN, salt, nonce, security, ciphertext } = parse(text, mostLogN);
  const key = await stretch(passphrase, salt, logN);
  try {
    return open(key, nonce, security, ciphertext);
  } finally {
    key.fill(0);
  }
}

function open(key: Uint8Array, nonce: Uint8Array, security: Uint8Array, ciphertext: Uint8Array): Uint8Array {
  try {
    return xchacha20poly1305(key, nonce, security).decrypt(ciphertext);
  } catch (error) {
    throw new WrongPassphrase("this passphrase does not open it", { cause: error });
  }
}

function parse(text: string, mostLogN: number): { logN: number; salt: Uint8Array; nonce: Uint8Array; security: Uint8Array; ciphertext: Uint8Array } {
  const decoded = bech32.decodeUnsafe(text as `${string}1${string}`, false);
  const bytes = decoded?.prefix === PREFIX ? bech32.fromWordsUnsafe(decoded.words) : undefined;
  if (!bytes) throw new NoNcryptsec("it is no ncryptsec, or its checksum does not fit");
  if (bytes[0] !== VERSION) throw new NoNcryptsec(`it is an ncryptsec of version ${bytes[0] ?? "none"}, and ${VERSION} is the one that is known`);
  if (bytes.length !== LENGTH) throw new NoNcryptsec(`it is an ncryptsec of ${bytes.length} bytes, and ${LENGTH} were to be there`);
  const logN = bytes[1]!;
  if (logN < 1 || logN > mostLogN) throw new NoNcryptsec(`its log_n is ${logN} (${logN > 63 ? "more memory than there is" : `${2 ** logN} KiB of memory`}), and 1 to ${mostLogN} are taken here`);
  let at = 2;
  const take = (length: number): Uint8Array => bytes.subarray(at, (at += length));
  return { logN, salt: take(SALT_BYTES), nonce: take(NONCE_BYTES), security: take(1), ciphertext: take(KEY_BYTES + 16) };
}

const derive = promisify<string, Uint8Array, number, { N: number; r: number; p: number; maxmem: number }, Buffer>(scrypt);

/** @see RFC 7914, section 2: scrypt holds N + 2 blocks beside the p that it works on */
const stretch = (passphrase: string, salt: Uint8Array, logN: number): Promise<Buffer> =>
  derive(passphrase.normalize("NFKC"), salt, KEY_BYTES, { N: 2 ** logN, r: BLOCK, p: 1, maxmem: 128 * BLOCK * (2 ** logN + 3) });
