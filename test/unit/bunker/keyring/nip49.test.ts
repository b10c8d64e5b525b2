import { bech32 } from "@scure/base";
import fc from "fast-check";
import * as reference from "nostr-tools/nip49";
import { describe, expect, it } from "vitest";
import { NoNcryptsec, sealKey, unsealKey, WrongPassphrase } from "../../../../bunker/keyring/nip49.js";

const official = "ncryptsec1qgg9947rlpvqu76pj5ecreduf9jxhselq2nae2kghhvd5g7dgjtcxfqtd67p9m0w57lspw8gsq6yphnm8623nsl8xn9j4jdzz84zm3frztj3z7s35vpzmqf6ksu8r89qk5z2zxfmu5gv8th8wclt0h4p";
const secretKey = Uint8Array.from(Buffer.from("3501454135014541350145413501453fefb02227e449e57cf4d3a3ce05378683", "hex"));

/** The official text with another byte somewhere, and its checksum made to fit. */
function altered(at: number, value: number): string {
  const bytes = Buffer.from(bech32.fromWords(bech32.decode(official as `${string}1${string}`, false).words));
  bytes[at] = value;
  return bech32.encode("ncryptsec", bech32.toWords(bytes), false);
}

describe("NIP-49", () => {
  it("opens the official vector", async () => {
    expect(await unsealKey(official, "nostr")).toEqual(secretKey);
  });

  it("is the same thing as nostr-tools' both ways, for any passphrase", async () => {
    await fc.assert(fc.asyncProperty(fc.string({ unit: "grapheme", minLength: 1 }), fc.uint8Array({ minLength: 32, maxLength: 32 }), fc.integer({ min: 1, max: 6 }), async (passphrase, key, logN) => {
      expect(reference.decrypt(await sealKey(key, passphrase, logN), passphrase)).toEqual(key);
      expect(await unsealKey(reference.encrypt(key, passphrase, logN), passphrase)).toEqual(key);
    }), { numRuns: 40 });
  });

  it("takes a passphrase however it was typed", async () => {
    const text = await sealKey(secretKey, "\u212b\u2126\u1e9b\u0323", 4);
    expect(await unsealKey(text, "\u00c5\u03a9\u1e69")).toEqual(secretKey);
  });

  it("uses a salt and a nonce once, and log_n 16 unless it is told otherwise", async () => {
    const texts = [await sealKey(secretKey, "p", 4), await sealKey(secretKey, "p", 4)];
    expect(texts[0]).not.toBe(texts[1]);
    const bytes = bech32.fromWords(bech32.decode((await sealKey(secretKey, "p")) as `${string}1${string}`, false).words);
    expect([...bytes.subarray(0, 2)]).toEqual([2, 16]);
  });

  it("tells a wrong passphrase from what can be opened by none", async () => {
    await expect(unsealKey(official, "nostR")).rejects.toThrow(WrongPassphrase);
    await expect(unsealKey(altered(60, 1), "nostr")).rejects.toThrow(WrongPassphrase);
    for (const text of ["", "nsec1qqq", official.slice(0, -1), official.replace("qgg9", "qgg8"), altered(0, 3)]) await expect(unsealKey(text, "nostr")).rejects.toThrow(NoNcryptsec);
  });

  it("refuses what would take the machine's memory before it takes any", async () => {
    const before = process.memoryUsage().rss;
    await expect(unsealKey(altered(1, 30), "nostr")).rejects.toThrow("its log_n is 30 (1073741824 KiB of memory), and 1 to 20 are taken here");
    await expect(unsealKey(altered(1, 255), "nostr")).rejects.toThrow(NoNcryptsec);
    await expect(unsealKey(altered(1, 0), "nostr")).rejects.toThrow(NoNcryptsec);
    await expect(unsealKey(official, "nostr", 15)).rejects.toThrow("its log_n is 16");
    expect(process.memoryUsage().rss - before).toBeLessThan(100e6);
  });

  it("lets the event loop live while it works", async () => {
    let turns = 0;
    const timer = setInterval(() => turns++, 5);
    await unsealKey(official, "nostr");
    clearInterval(timer);
    expect(turns).toBeGreaterThan(3);
  });
});
