import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { hexToBytes, bytesToHex } from "@noble/hashes/utils.js";
import * as nip44 from "nostr-tools/nip44";
import { getPublicKey } from "nostr-tools/pure";
import { describe, expect, it } from "vitest";
import { encryption } from "../../../../bunker/nip46/encryption.js";
import { createEnvelope } from "../../../../bunker/nip46/envelope.js";
import type { Session } from "../../../../bunker/nip46/task.js";

interface Conversation { readonly sec1: string; readonly sec2: string; readonly conversation_key: string; readonly nonce: string; readonly plaintext: string; readonly payload: string }
interface Long { readonly conversation_key: string; readonly nonce: string; readonly pattern: string; readonly repeat: number; readonly plaintext_sha256: string; readonly payload_sha256: string }

// Verbatim from github.com/paulmillr/nip44 (its JavaScript part, Unlicense: public domain), 671a1f04.
const text = readFileSync(new URL("./nip44.vectors.json", import.meta.url));
const { valid, invalid } = (JSON.parse(String(text)) as { v2: { readonly valid: {
  readonly get_conversation_key: readonly { readonly sec1: string; readonly pub2: string; readonly conversation_key: string }[];
  readonly calc_padded_len: readonly (readonly [number, number])[];
  readonly encrypt_decrypt: readonly Conversation[];
  readonly encrypt_decrypt_long_msg: readonly Long[];
}; readonly invalid: {
  readonly get_conversation_key: readonly { readonly sec1: string; readonly pub2: string; readonly note: string }[];
  readonly decrypt: readonly { readonly conversation_key: string; readonly payload: string; readonly note: string }[];
} } }).v2;

const envelope = createEnvelope();
const keyOf = (secret: string) => ({ name: "k", publicKey: `of ${secret}`, secretKey: hexToBytes(secret) });
const somebody = getPublicKey(hexToBytes("1".repeat(64)));
/** What a client gets that has this conversation. */
const decrypted = (conversationKey: Uint8Array, payload: string): string =>
  encryption.nip44_decrypt([somebody, payload], { key: keyOf("1".repeat(64)), conversationKey: () => conversationKey } as unknown as Session).perform().result;
const sha256 = (value: string | Uint8Array) => createHash("sha256").update(value).digest("hex");

describe("NIP-44's official vectors", () => {
  it("are the ones that the NIP names by their hash", () => expect(sha256(text)).toBe("269ed0f69e4c192512cc779e78c555090cebc7c785b609e338a62afc3ce25040"));

  it("hold for conversation keys", () => {
    for (const { sec1, pub2, conversation_key } of valid.get_conversation_key) expect(bytesToHex(envelope.conversationKey(keyOf(sec1), pub2))).toBe(conversation_key);
    for (const { sec1, pub2, note } of invalid.get_conversation_key) expect(() => envelope.conversationKey(keyOf(sec1), pub2), note).toThrow();
  });

  it("hold for encryption and for what a client has decrypted, from both sides", () => {
    for (const { sec1, sec2, conversation_key, nonce, plaintext, payload } of valid.encrypt_decrypt) {
      expect(nip44.encrypt(plaintext, envelope.conversationKey(keyOf(sec1), getPublicKey(hexToBytes(sec2))), hexToBytes(nonce))).toBe(payload);
      expect(bytesToHex(envelope.conversationKey(keyOf(sec2), getPublicKey(hexToBytes(sec1))))).toBe(conversation_key);
      expect(decrypted(hexToBytes(conversation_key), payload)).toBe(plaintext);
    }
  });

  it("hold for lengths and long texts, with the NIP's own of the longer prefix", () => {
    for (const [length, padded] of valid.calc_padded_len) expect(nip44.v2.utils.calcPaddedLen(length)).toBe(padded);
    const longer = ([
      [65535, "6e1bebca6a8229364a162a72ef064826c4cd7457bf54f190ef782bd9deff3e42", "6d8c2810d1e870fbaa1f0a0937126cca837a15f9260e27060c331d70a3c0bc84"],
      [65536, "bf718b6f653bebc184e1479f1935b8da974d701b893afcf49e701f3e2f9f9c5a", "b7b4edb36ba92e267d322d56d9aebc22e7fa96ff52e3c12adc07f07a43cbc616"],
      [65537, "008ffc88d3c96a9f307524eb361e47c5222a887fc45fa0c1fb8d429c5c23b430", "eeb7c7c5373894ea2c1547cfd3ccb15d5a0b2d619da852e5c79df792dcc9e435"],
    ] as const).map(([repeat, plaintext_sha256, payload_sha256]): Long => ({
      conversation_key: "c41c775356fd92eadc63ff5a0dc1da211b268cbea22316767095b2871ea1412d", nonce: "1".padStart(64, "0"), pattern: "a", repeat, plaintext_sha256, payload_sha256,
    }));
    for (const { conversation_key, nonce, pattern, repeat, plaintext_sha256, payload_sha256 } of [...valid.encrypt_decrypt_long_msg, ...longer]) {
      const plaintext = pattern.repeat(repeat);
      const payload = nip44.encrypt(plaintext, hexToBytes(conversation_key), hexToBytes(nonce));
      expect([sha256(plaintext), sha256(payload)]).toEqual([plaintext_sha256, payload_sha256]);
      expect(decrypted(hexToBytes(conversation_key), payload)).toBe(plaintext);
    }
  });

  it("hold for what must not be decrypted", () => {
    for (const { conversation_key, payload, note } of invalid.decrypt) expect(() => decrypted(hexToBytes(conversation_key), payload), note).toThrow("could not be decrypted");
  });
});

describe("the envelope", () => {
  it("overwrites the conversation keys that it forgets, by being told to or for want of room", () => {
    const small = createEnvelope(1);
    const first = small.conversationKey(keyOf("2".repeat(64)), somebody);
    const second = small.conversationKey(keyOf("3".repeat(64)), somebody);
    expect([...first].every((byte) => byte === 0)).toBe(true);
    expect([...second].every((byte) => byte === 0)).toBe(false);
    small.forget();
    expect([...second].every((byte) => byte === 0)).toBe(true);
  });
});
