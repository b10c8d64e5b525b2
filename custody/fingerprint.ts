import { scryptSync } from "node:crypto";

/** Tells these fingerprints from every other use of scrypt. Never changes: fingerprints under version control were made with it. */
const DOMAIN = "holdfast/passphrase-fingerprint/1";
const COST = { N: 2 ** 15, r: 8, p: 1, maxmem: 64 * 1024 * 1024 };

/**
 * What may be public of a stack's passphrase, in hex: marks.json has it, and every preview compares it with the passphrase that is in force and with those of other environments.
 *
 * The salt is fixed, so that equal passphrases have equal fingerprints wherever they are made, without unlocking anything. That gives away which environments share one, which is what it is for.
 * A passphrase of `holdfast env create` has 256 bits and cannot be guessed; one that a person chose can be tried, and scrypt makes each try cost 32 MiB and about 0.1 s.
 *
 * @see RFC 7914
 */
export const passphraseFingerprint = (passphrase: string): string => scryptSync(passphrase, DOMAIN, 32, COST).toString("hex");
