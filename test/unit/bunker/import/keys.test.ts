import { nsecEncode } from "nostr-tools/nip19";
import { getPublicKey } from "nostr-tools/pure";
import { describe, expect, it } from "vitest";
import { importKeys, type ImportKeysArgs } from "../../../../bunker/import/keys.js";
import type { ImportReport } from "../../../../bunker/import/report.js";
import type { Keyring } from "../../../../bunker/keyring/keyring.js";
import { openKeyring } from "../../../../bunker/keyring/open.js";
import type { Store } from "../../../../bunker/store/store.js";
import { legacyEntry } from "../keyring/legacyEntry.js";
import { dataFolder } from "../store/folder.js";

const { open } = dataFolder();
const PASSPHRASE = "correct horse";
const secretKey = (byte: number): Uint8Array => new Uint8Array(32).fill(byte);
const clear = (byte: number): { key: string } => ({ key: Buffer.from(secretKey(byte)).toString("hex") });
const encrypted = legacyEntry(nsecEncode(secretKey(7)), PASSPHRASE);

function start(): { store: Store; keyring: Keyring; run: (entries: Record<string, unknown>, more?: Partial<ImportKeysArgs>) => Promise<ImportReport> } {
  const store = open();
  const keyring = openKeyring({ store, log: () => undefined, logN: 1 });
  return { store, keyring, run: (entries, more = {}) => importKeys({ entries, store, keyring, ...more }) };
}

describe("encrypted entries of nsecbunker.json", () => {
  it("come as they are, and open with their passphrase", async () => {
    const { run, keyring, store } = start();
    expect(await run({ old: encrypted })).toEqual({ brought: ["key old, as nsecbunkerd encrypted it until it is first opened"], already: 0, leftOut: [], warnings: [] });
    expect(store.keys.rest("old")).toEqual({ at: "legacy", ...encrypted });
    await keyring.unlock("old", PASSPHRASE);
    expect(keyring.find(getPublicKey(secretKey(7)))?.name).toBe("old");
  });

  it("come once: neither after they were sealed anew, nor after they were deleted here", async () => {
    const { run, keyring, store } = start();
    await run({ old: encrypted });
    await keyring.unlock("old", PASSPHRASE);
    expect(await run({ old: encrypted })).toEqual({ brought: [], already: 1, leftOut: [], warnings: [] });
    expect(store.keys.all()[0]!.at).toBe("ncryptsec");
    keyring.remove("old");
    expect(await run({ old: encrypted })).toEqual({ brought: [], already: 1, leftOut: [], warnings: [] });
    expect(store.keys.all()).toEqual([]);
  });

  it("with the public key that the database knows are held against it when they are opened", async () => {
    const { run, keyring } = start();
    await run({ old: encrypted }, { known: new Map([["old", getPublicKey(secretKey(8))]]) });
    await expect(keyring.unlock("old", PASSPHRASE)).rejects.toThrow("what its passphrase opens is");
  });

  it("under a name that is taken by another are left out, an error where the public keys tell", async () => {
    const { run, keyring } = start();
    await keyring.create("old", PASSPHRASE, secretKey(9));
    expect((await run({ old: encrypted })).leftOut).toEqual([{ what: "key old", why: expect.stringContaining("this entry is not the one it was made from"), level: "warn" }]);
    const { leftOut } = await run({ old: encrypted }, { known: new Map([["old", getPublicKey(secretKey(7))]]) });
    expect(leftOut).toEqual([{ what: "key old", why: expect.stringContaining(`it is ${getPublicKey(secretKey(9))} here and ${getPublicKey(secretKey(7))}`), level: "error" }]);
    expect(keyring.get("old")!.publicKey).toBe(getPublicKey(secretKey(9)));
  });

  it("that are damaged come too, so that they are named at each unlock; what is no entry is left out", async () => {
    const { run, store } = start();
    const { leftOut } = await run({ damaged: { iv: "x", data: "y" }, none: { data: 1 }, "a\nb": encrypted, good: encrypted });
    expect(store.keys.all().map(({ name }) => name).sort()).toEqual(["damaged", "good"]);
    expect(leftOut.map(({ what, level }) => [what, level])).toEqual([["key none", "error"], ["key a\nb", "error"]]);
  });
});

describe("entries in clear", () => {
  it("are encrypted at once under the passphrase, with a warning that the file still has them", async () => {
    const { run, keyring, store } = start();
    const { brought, warnings } = await run({ "alice@example.org": clear(3) }, { passphrase: PASSPHRASE });
    expect(brought).toEqual(["key alice@example.org, from clear, encrypted"]);
    expect(warnings).toEqual(["The key alice@example.org lies in clear in the configuration: delete it there once it works here."]);
    expect(store.keys.all()).toMatchObject([{ at: "ncryptsec", publicKey: getPublicKey(secretKey(3)) }]);
    expect(keyring.get("alice@example.org")!.secretKey).toEqual(secretKey(3));
    expect((await run({ "alice@example.org": clear(3) }, { passphrase: PASSPHRASE })).already).toBe(1);
    keyring.remove("alice@example.org");
    expect((await run({ "alice@example.org": clear(3) }, { passphrase: PASSPHRASE })).already).toBe(1);
    expect(store.keys.all()).toEqual([]);
  });

  it("without a passphrase wait for unlock_key, and come with the next one that is given", async () => {
    const { run, store } = start();
    expect((await run({ alice: clear(3) })).leftOut).toEqual([{ what: "key alice", why: expect.stringContaining("waits for unlock_key"), level: "warn" }]);
    expect(store.keys.all()).toEqual([]);
    expect((await run({ alice: clear(3) }, { passphrase: PASSPHRASE })).brought).toHaveLength(1);
  });

  it("of another key than the one of that name are an error", async () => {
    const { run, keyring } = start();
    await keyring.create("alice", PASSPHRASE, secretKey(4));
    expect((await run({ alice: clear(3) }, { passphrase: PASSPHRASE })).leftOut).toMatchObject([{ level: "error", why: expect.stringContaining("Give one of them another name") }]);
  });

  it("that are no key are left out without being quoted", async () => {
    const { run } = start();
    const report = await run({ alice: { key: "secret-but-wrong" } }, { passphrase: PASSPHRASE });
    expect(report.leftOut).toEqual([{ what: "key alice", why: "it is neither an nsec nor 64 hex digits", level: "error" }]);
  });
});
