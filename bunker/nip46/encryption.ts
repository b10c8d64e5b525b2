import { createHash } from "node:crypto";
import { secp256k1 } from "@noble/curves/secp256k1.js";
import * as nip04 from "nostr-tools/nip04";
import * as nip44 from "nostr-tools/nip44";
import type { PublicKey } from "../model.js";
import { Unusable, type Method } from "./task.js";

type Both = "nip04_encrypt" | "nip04_decrypt" | "nip44_encrypt" | "nip44_decrypt";

/**
 * Encryption and decryption for somebody who is neither the client nor the bunker. The audit's hash is always the ciphertext's:
 * a short plaintext could be guessed from its own. @see NIP-04, NIP-44
 */
export const encryption: Readonly<Record<Both, Method>> = {
  nip04_encrypt: ([who, plaintext = ""], { key }) => {
    const counterparty = parseCounterparty(who);
    return { counterparty, perform: () => sealed(nip04.encrypt(key.secretKey, counterparty, plaintext)) };
  },
  nip04_decrypt: ([who, ciphertext = ""], { key }) => {
    const counterparty = parseCounterparty(who);
    return { counterparty, perform: () => opened(ciphertext, () => nip04.decrypt(key.secretKey, counterparty, ciphertext)) };
  },
  nip44_encrypt: ([who, plaintext = ""], { key, conversationKey }) => {
    const counterparty = parseCounterparty(who);
    if (plaintext === "") throw new Unusable("NIP-44 cannot encrypt an empty text");
    return { counterparty, perform: () => sealed(nip44.encrypt(plaintext, conversationKey(key, counterparty))) };
  },
  nip44_decrypt: ([who, ciphertext = ""], { key, conversationKey }) => {
    const counterparty = parseCounterparty(who);
    return { counterparty, perform: () => opened(ciphertext, () => nip44.decrypt(ciphertext, conversationKey(key, counterparty))) };
  },
};

function sealed(ciphertext: string) {
  return { result: ciphertext, contentHash: sha256(ciphertext) };
}

function opened(ciphertext: string, decrypt: () => string) {
  try {
    return { result: decrypt(), contentHash: sha256(ciphertext) };
  } catch (fault) {
    throw new Unusable("the text could not be decrypted: it is damaged, in another format, or from another conversation", { cause: fault });
  }
}

function parseCounterparty(text = ""): PublicKey {
  const hex = text.toLowerCase();
  if (!/^[0-9a-f]{64}$/.test(hex)) throw new Unusable("the first parameter must be a public key: 64 hex digits");
  try {
    secp256k1.Point.fromHex(`02${hex}`).assertValidity();
  } catch (fault) {
    throw new Unusable("the first parameter is no public key: there is no such point on the curve", { cause: fault });
  }
  return hex;
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
