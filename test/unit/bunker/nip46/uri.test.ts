import { createNostrConnectURI, parseBunkerInput } from "nostr-tools/nip46";
import { describe, expect, it } from "vitest";
import { parseMetadata, parseNostrConnectUri, printBunkerUri, printNostrConnectUri } from "../../../../bunker/nip46/uri.js";

const client = "83f3b2ae6aa368e8275397b9c26cf550101d63ebaab900d19dd4a4429f5ad8f5";

describe("bunker://", () => {
  it("is what nostr-tools reads", async () => {
    const relays = ["wss://relay.example/path", "ws://127.0.0.1:7777"];
    expect(await parseBunkerInput(printBunkerUri(client, relays, "00ff"))).toEqual({ pubkey: client, relays, secret: "00ff" });
    expect(await parseBunkerInput(printBunkerUri(client, relays))).toEqual({ pubkey: client, relays, secret: null });
  });
});

describe("nostrconnect://", () => {
  const example = `nostrconnect://${client}?relay=wss%3A%2F%2Frelay1.example.com&perms=nip44_encrypt%2Cnip44_decrypt%2Csign_event%3A13%2Csign_event%3A14%2Csign_event%3A1059&name=My+Client&secret=0s8j2djs&relay=wss%3A%2F%2Frelay2.example2.com`;
  const offer = {
    client, relays: ["wss://relay1.example.com", "wss://relay2.example2.com"], secret: "0s8j2djs", metadata: { name: "My Client" },
    perms: [{ method: "nip44_encrypt" }, { method: "nip44_decrypt" }, ...["13", "14", "1059"].map((parameter) => ({ method: "sign_event", parameter }))],
  };

  it("is read as NIP-46's own example says", () => expect(parseNostrConnectUri(example)).toEqual(offer));

  it("is read as it was printed, by us and by nostr-tools", () => {
    expect(parseNostrConnectUri(printNostrConnectUri(offer))).toEqual(offer);
    const theirs = createNostrConnectURI({ clientPubkey: client, relays: ["wss://a.example/x?y=z"], secret: "s&=", perms: ["ping"], name: "N", url: "https://n.example", image: "https://n.example/i.png" });
    expect(parseNostrConnectUri(theirs)).toEqual({ client, relays: ["wss://a.example/x?y=z"], secret: "s&=", perms: [{ method: "ping" }], metadata: { name: "N", url: "https://n.example", image: "https://n.example/i.png" } });
  });

  it("has the metadata of older clients too", () => {
    const older = `nostrconnect://${client}?relay=wss://a.example&secret=1&metadata=${encodeURIComponent('{"name":"Old","icons":[]}')}`;
    expect(parseNostrConnectUri(older).metadata).toEqual({ name: "Old" });
  });

  it.each([
    ["nothing of the kind", "bunker://x", "no nostrconnect:// address"],
    ["no client", "nostrconnect://npub1abc?relay=wss://a.example&secret=1", "names no client"],
    ["no relay", `nostrconnect://${client}?secret=1`, "names no relay"],
    ["a relay that is none", `nostrconnect://${client}?secret=1&relay=https://a.example&relay=wss://u:p@a.example`, "names no relay"],
    ["no secret", `nostrconnect://${client}?relay=wss://a.example`, "has no secret"],
    ["an endless secret", `nostrconnect://${client}?relay=wss://a.example&secret=${"x".repeat(300)}`, "longer than 256"],
  ])("is refused in words: %s", (_name, text, error) => expect(() => parseNostrConnectUri(text)).toThrow(error));
});

describe("a client's metadata", () => {
  it("is cut to what can be shown", () => {
    expect(parseMetadata(JSON.stringify({ name: `\u0000\u200b${"é".repeat(500)}`, url: 7, admin: true }))).toEqual({ name: "é".repeat(64) });
    for (const text of ["", "x", "null", "[]", "7"]) expect(parseMetadata(text)).toEqual({});
  });
});
