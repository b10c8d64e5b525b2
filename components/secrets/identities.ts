import { HDKey } from "@scure/bip32";
import { CipherSeed } from "aezeed";
import * as pulumi from "@pulumi/pulumi";
import { identityFileSchema, type IdentityFile } from "../../formats/identity.js";
import type { Network } from "../../formats/place.js";
import { step } from "../step.js";

/** A node identity that the stack holds: public facts and a ciphertext that only the wallet identity opens. */
export class HeldIdentity extends pulumi.ComponentResource {
  readonly identity: pulumi.Output<IdentityFile>;

  constructor(name: string, identity: IdentityFile, options?: pulumi.ComponentResourceOptions) {
    super("holdfast:secrets:HeldIdentity", name, {}, options);
    this.identity = pulumi.unsecret(step(`${name}-hold`, { program: "hold", input: identity, output: identityFileSchema }, { parent: this, protect: true }));
    this.registerOutputs({ nodePublicKey: identity.nodePublicKey });
  }
}

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
