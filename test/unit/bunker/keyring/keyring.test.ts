import { nsecEncode } from "nostr-tools/nip19";
import { getPublicKey } from "nostr-tools/pure";
import { describe, expect, it } from "vitest";
import { NotOpened, type Keyring } from "../../../../bunker/keyring/keyring.js";
import { openKeyring } from "../../../../bunker/keyring/open.js";
import { unsealKey } from "../../../../bunker/keyring/nip49.js";
import type { Store } from "../../../../bunker/store/store.js";
import { dataFolder } from "../store/folder.js";
import { legacyEntry } from "./legacyEntry.js";

const { open } = dataFolder();
const PASSPHRASE = "correct horse";
const secretKey = (byte: number): Uint8Array => new Uint8Array(32).fill(byte);

function start(): { store: Store; keyring: Keyring; lines: string[] } {
  const store = open();
  const lines: string[] = [];
  return { store, lines, keyring: openKeyring({ store, log: (level, line) => lines.push(`${level} ${line}`), logN: 4 }) };
}
const again = (store: Store): Keyring => openKeyring({ store, log: () => undefined, logN: 4 });

async function reasonOf(promise: Promise<unknown>): Promise<string> {
  const error = await promise.then(() => undefined, (thrown: unknown) => thrown);
  if (!(error instanceof NotOpened)) throw new Error(`expected NotOpened, and found ${String(error)}`);
  return error.reason;
}

describe("a key", () => {
  it("is on the disk as NIP-49 before it is answered for, and opens after a restart", async () => {
    const { store, keyring } = start();
    const key = await keyring.create("alice", PASSPHRASE, secretKey(7));
    expect(key.publicKey).toBe(getPublicKey(secretKey(7)));
    const rest = store.keys.rest("alice")!;
    expect(rest.at === "ncryptsec" && (await unsealKey(rest.text, PASSPHRASE))).toEqual(secretKey(7));
    const later = again(store);
    expect(later.names()).toEqual([{ name: "alice", publicKey: key.publicKey, open: "locked" }]);
    expect(later.find(key.publicKey)).toBeUndefined();
    expect(await later.unlock("alice", PASSPHRASE)).toBe("opened");
    expect(await later.unlock("alice", "whatever")).toBe("was-open");
    expect(later.find(key.publicKey)?.secretKey).toEqual(secretKey(7));
    expect(later.get("alice")).toBe(later.find(key.publicKey));
  });

  it("is never made over another, nor under a name that breaks a line, nor without a passphrase", async () => {
    const { keyring, store } = start();
    await keyring.create("alice@example.org", PASSPHRASE);
    await expect(keyring.create("alice@example.org", PASSPHRASE)).rejects.toThrow("There is a key named alice@example.org already");
    for (const name of ["", " a", "a\nautounlock: unlocked b", "a\u2028b", "x".repeat(101)]) await expect(keyring.create(name, PASSPHRASE), name).rejects.toThrow(/A key's name/);
    await expect(keyring.create("bob", "")).rejects.toThrow("A passphrase wants one character at least");
    await expect(keyring.create("bob", PASSPHRASE, new Uint8Array(32))).rejects.toThrow("these 32 bytes are no secret key");
    expect(store.keys.all()).toHaveLength(1);
  });

  it("is never the bunker's own identity", async () => {
    const { store } = start();
    const keyring = openKeyring({ store, log: () => undefined, logN: 4, reserved: getPublicKey(secretKey(7)) });
    await expect(keyring.create("alice", PASSPHRASE, secretKey(7))).rejects.toThrow("would be the bunker's own identity");
    expect(store.keys.all()).toEqual([]);
    await keyring.create("alice", PASSPHRASE, secretKey(8));
  });

  it("that does not open says why: no such key, a wrong passphrase, damage", async () => {
    const { store, keyring } = start();
    const { publicKey } = await keyring.create("alice", PASSPHRASE, secretKey(7));
    keyring.lock("alice");
    expect(await reasonOf(keyring.unlock("bob", PASSPHRASE))).toBe("no-such-key");
    expect(await reasonOf(keyring.unlock("alice", "wrong"))).toBe("wrong-passphrase");
    const rest = store.keys.rest("alice")!;
    store.keys.replace("alice", { at: "ncryptsec", text: "ncryptsec1damaged" }, publicKey);
    expect(await reasonOf(keyring.unlock("alice", PASSPHRASE))).toBe("damaged");
    store.keys.replace("alice", rest, getPublicKey(secretKey(8)));
    await expect(keyring.unlock("alice", PASSPHRASE)).rejects.toThrow(/it is stored as [0-9a-f]{64}, and what its passphrase opens is/);
    expect(keyring.names()[0]!.open).toBe("locked");
  });

  it("is opened once by many calls at once, and a wrong passphrase among them fails alone", async () => {
    const { keyring } = start();
    await keyring.create("alice", PASSPHRASE);
    keyring.lock("alice");
    let changes = 0;
    keyring.onChange(() => changes++);
    const results = await Promise.allSettled(["wrong", PASSPHRASE, PASSPHRASE, PASSPHRASE].map((one) => keyring.unlock("alice", one)));
    expect(results.map((one) => (one.status === "fulfilled" ? one.value : "failed"))).toEqual(["failed", "opened", "was-open", "was-open"]);
    expect(changes).toBe(1);
  });

  it("is forgotten when it is locked: its bytes are overwritten", async () => {
    const { keyring } = start();
    const [one, two] = [await keyring.create("a", PASSPHRASE), await keyring.create("b", PASSPHRASE)];
    keyring.lock("a");
    keyring.lock("a");
    expect(one.secretKey).toEqual(new Uint8Array(32));
    expect(two.secretKey).not.toEqual(new Uint8Array(32));
    expect(keyring.find(one.publicKey)).toBeUndefined();
    keyring.lockAll();
    expect(two.secretKey).toEqual(new Uint8Array(32));
    expect(keyring.names().map((key) => key.open)).toEqual(["locked", "locked"]);
  });

  it("that is locked or removed while it is being opened or made stays shut", async () => {
    const { keyring } = start();
    await keyring.create("alice", PASSPHRASE);
    keyring.lock("alice");
    const opening = keyring.unlock("alice", PASSPHRASE);
    keyring.lockAll();
    expect(await reasonOf(opening)).toBe("locked");
    const making = keyring.create("bob", PASSPHRASE);
    keyring.lockAll();
    expect(await reasonOf(making)).toBe("locked");
    const other = keyring.unlock("alice", PASSPHRASE);
    keyring.lock("bob");
    expect(await other).toBe("opened");
    keyring.lock("alice");
    const removed = keyring.unlock("alice", PASSPHRASE);
    keyring.remove("alice");
    expect(await reasonOf(removed)).toBe("no-such-key");
    expect(keyring.names().map(({ name, open: state }) => [name, state])).toEqual([["bob", "locked"]]);
  });

  it("is exported under a passphrase of its own, and only when it is open", async () => {
    const { keyring } = start();
    await keyring.create("alice", PASSPHRASE, secretKey(7));
    expect(await unsealKey(await keyring.export("alice", "other"), "other")).toEqual(secretKey(7));
    await expect(keyring.export("alice", "")).rejects.toThrow("A passphrase");
    keyring.lock("alice");
    await expect(keyring.export("alice", "other")).rejects.toThrow("The key alice is locked");
  });

  it("is rotated after it proved its passphrase: another key, and the old one's clients and tokens end", async () => {
    const { keyring, store } = start();
    const before = await keyring.create("alice", PASSPHRASE, secretKey(7));
    const { id: policyId } = store.policies.add({ name: "p", rules: [] });
    const token = store.tokens.add({ keyName: "alice", clientName: "phone", policyId });
    store.clients.add({ keyName: "alice", publicKey: "c".repeat(64), name: "c", policyId });
    expect(await reasonOf(keyring.rotate("alice", "wrong"))).toBe("wrong-passphrase");
    expect(store.clients.of("alice")[0]).not.toHaveProperty("revokedAt");
    const after = await keyring.rotate("alice", PASSPHRASE);
    expect(after.publicKey).not.toBe(before.publicKey);
    expect(before.secretKey).toEqual(new Uint8Array(32));
    expect(keyring.find(before.publicKey)).toBeUndefined();
    expect(store.tokens.find("alice", token.secret, 0)).toBeUndefined();
    expect(store.clients.of("alice")[0]).toHaveProperty("revokedAt");
    expect(await again(store).unlock("alice", PASSPHRASE)).toBe("opened");
  });
});

describe("an entry of nsecbunkerd's", () => {
  it("is opened with its passphrase, and sealed anew as NIP-49 at once", async () => {
    const { store, keyring, lines } = start();
    store.keys.add("old", { at: "legacy", ...legacyEntry(nsecEncode(secretKey(7)), PASSPHRASE) }, undefined);
    expect(keyring.names()).toEqual([{ name: "old", open: "locked" }]);
    expect(await keyring.unlock("old", PASSPHRASE)).toBe("opened");
    expect(keyring.find(getPublicKey(secretKey(7)))?.secretKey).toEqual(secretKey(7));
    expect(store.keys.all()[0]).toMatchObject({ at: "ncryptsec", publicKey: getPublicKey(secretKey(7)) });
    expect(lines).toEqual(["info keyring: old came from nsecbunkerd and is sealed anew as NIP-49"]);
    expect(await again(store).unlock("old", PASSPHRASE)).toBe("opened");
  });

  it("is not opened by a wrong passphrase that passes the padding", async () => {
    const { store, keyring } = start();
    const entry = legacyEntry(nsecEncode(secretKey(7)), PASSPHRASE);
    store.keys.add("old", { at: "legacy", ...entry }, undefined);
    const passing = await passphraseThatPassesThePadding(entry);
    expect(await reasonOf(keyring.unlock("old", passing))).toBe("wrong-passphrase");
    expect(await reasonOf(keyring.unlock("old", "wrong"))).toBe("wrong-passphrase");
    expect(store.keys.rest("old")).toEqual({ at: "legacy", ...entry });
  });

  it("of another key than the known one is damaged, and is left as it is", async () => {
    const { store, keyring } = start();
    const entry = legacyEntry(nsecEncode(secretKey(7)), PASSPHRASE);
    store.keys.add("old", { at: "legacy", ...entry }, getPublicKey(secretKey(8)));
    expect(await reasonOf(keyring.unlock("old", PASSPHRASE))).toBe("damaged");
    expect(store.keys.rest("old")).toEqual({ at: "legacy", ...entry });
  });

  it("whose shape is wrong is damaged", async () => {
    const { store, keyring } = start();
    store.keys.add("old", { at: "legacy", iv: "00", data: "zz" }, undefined);
    expect(await reasonOf(keyring.unlock("old", PASSPHRASE))).toBe("damaged");
  });

  it("never shows its text in an error", async () => {
    const { store, keyring } = start();
    store.keys.add("old", { at: "legacy", ...legacyEntry("a secret that is no nsec", PASSPHRASE) }, undefined);
    const error = await keyring.unlock("old", PASSPHRASE).catch((thrown: Error) => thrown);
    expect(JSON.stringify([String(error), (error as Error).stack])).not.toContain("a secret");
    expect(String(error)).not.toContain(PASSPHRASE);
  });
});

async function passphraseThatPassesThePadding(entry: { iv: string; data: string }): Promise<string> {
  const { createDecipheriv, createHash } = await import("node:crypto");
  for (let number = 0; ; number++) {
    const passphrase = `wrong ${number}`;
    const decipher = createDecipheriv("aes-256-cbc", createHash("sha256").update(passphrase).digest(), Buffer.from(entry.iv, "hex"));
    decipher.update(Buffer.from(entry.data, "hex"));
    try {
      decipher.final();
      return passphrase;
    } catch (error) {
      if (number > 100_000) throw error;
    }
  }
}
