import { randomBytes } from "node:crypto";
import { HDKey } from "@scure/bip32";
import { CipherSeed } from "aezeed";
import type { Network } from "../../formats/place.js";

/** A new LND seed: aezeed, 24 words, no passphrase, born now. @see lnd aezeed/README.md */
export const newMnemonic = (): string[] => new CipherSeed(randomBytes(16), randomBytes(5)).toMnemonic().split(" ");

/**
 * The Lightning node id that LND makes of a seed: key family 6 (node key), index 0.
 *
 * @param mnemonic aezeed, 24 words, no passphrase
 * @see lnd keychain/derivation.go: m/1017'/coin'/family'/0/index, coin 0 on mainnet and 1 elsewhere
 */
export function nodePublicKeyOf(mnemonic: readonly string[], network: Network): string {
  const { entropy } = CipherSeed.fromMnemonic(mnemonic.join(" "));
  const key = HDKey.fromMasterSeed(entropy).derive(`m/1017'/${network === "mainnet" ? 0 : 1}'/6'/0/0`);
  return Buffer.from(key.publicKey!).toString("hex");
}
