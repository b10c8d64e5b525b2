import * as nip04 from "nostr-tools/nip04";
import * as nip44 from "nostr-tools/nip44";
import { verifyEvent } from "nostr-tools/pure";
import { describe, expect, it } from "vitest";
import { createWorld, newClient, note } from "./world.js";

const everything = (["sign_event", "nip04_encrypt", "nip04_decrypt", "nip44_encrypt", "nip44_decrypt"] as const).map((method) => ({ method }));

describe("a client that has a policy", () => {
  const world = createWorld();
  const client = newClient();
  world.bind(client.publicKey, everything);
  const friend = newClient();

  it("has an event signed as it wrote it, in the envelope that NIP-46 wants", async () => {
    const { outcome, result } = await world.ask(client.secretKey, "sign_event", note());
    expect(outcome).toBe("answered");
    const signed = JSON.parse(result!);
    expect(verifyEvent(signed)).toBe(true);
    expect(signed).toMatchObject({ ...JSON.parse(note()), pubkey: world.key.publicKey });
    const { event } = world.published.at(-1)!;
    expect(verifyEvent(event)).toBe(true);
    expect(event).toMatchObject({ kind: 24133, pubkey: world.key.publicKey, tags: [["p", client.publicKey]], created_at: world.clock.now / 1000 });
  });

  it("may encrypt and decrypt both ways with each of the two formats", async () => {
    for (const [name, decrypt] of [
      ["nip44", (text: string) => nip44.decrypt(text, nip44.getConversationKey(friend.secretKey, world.key.publicKey))],
      ["nip04", (text: string) => nip04.decrypt(friend.secretKey, world.key.publicKey, text)],
    ] as const) {
      const { result: sealed } = await world.ask(client.secretKey, `${name}_encrypt`, friend.publicKey, "grüß dich 🙂");
      expect(decrypt(sealed!)).toBe("grüß dich 🙂");
      expect(await world.ask(client.secretKey, `${name}_decrypt`, friend.publicKey.toUpperCase(), sealed)).toEqual({ outcome: "answered", result: "grüß dich 🙂" });
    }
  });

  it("hears pong, the public key, and the relays as a string that holds JSON", async () => {
    expect(await world.ask(client.secretKey, "ping")).toEqual({ outcome: "answered", result: "pong" });
    expect(await world.ask(client.secretKey, "get_public_key")).toEqual({ outcome: "answered", result: world.key.publicKey });
    expect(await world.ask(client.secretKey, "switch_relays")).toEqual({ outcome: "answered", result: '["wss://one.example","wss://two.example"]' });
  });

  it("leaves an audit line with the hash of the content and not the content, and a time of last use", async () => {
    const { result } = await world.ask(client.secretKey, "sign_event", note({ content: "a poison word" }));
    const line = world.store.audit.query({ who: client.publicKey }).at(-1)!;
    expect(line).toMatchObject({ action: "sign_event", keyName: "work", kind: 1, outcome: "allowed", contentHash: JSON.parse(result!).id });
    await world.ask(client.secretKey, "nip44_encrypt", friend.publicKey, "a poison word");
    expect(world.store.audit.query({}).at(-1)).toMatchObject({ action: "nip44_encrypt", counterparty: friend.publicKey, contentHash: expect.stringMatching(/^[0-9a-f]{64}$/) });
    expect(JSON.stringify([world.store.audit.query({}), world.logged])).not.toContain("poison");
    expect(world.store.clients.find("work", client.publicKey)?.lastUsedAt).toBe(world.clock.now);
    expect(world.store.audit.verify().fault).toBeUndefined();
  });

  it.each([
    ["no JSON", "kind 1", "JSON text of an event"],
    ["a list", "[]", "JSON text of an event"],
    ["a kind that is none", note({ kind: 1.5 }), "kind must be an integer"],
    ["a kind that is too large", note({ kind: 65536 }), "kind must be an integer"],
    ["no content", note({ content: undefined }), "content must be a string"],
    ["tags of numbers", note({ tags: [["e", 1]] }), "tags must be"],
    ["no time", note({ created_at: undefined }), "created_at must be"],
    ["another pubkey", note({ pubkey: "0".repeat(64) }), "names another pubkey"],
  ])("is told what is wrong with an event: %s", async (_name, text, error) => {
    expect(await world.ask(client.secretKey, "sign_event", text)).toEqual({ outcome: "refused", error: expect.stringContaining(error) });
  });

  it("is told what is wrong with a counterparty or a ciphertext", async () => {
    expect((await world.ask(client.secretKey, "nip44_encrypt", "npub1x", "hi")).error).toContain("64 hex digits");
    expect((await world.ask(client.secretKey, "nip44_encrypt", "f".repeat(64), "hi")).error).toContain("no such point");
    expect((await world.ask(client.secretKey, "nip44_encrypt", friend.publicKey, "")).error).toContain("empty");
    for (const method of ["nip44_decrypt", "nip04_decrypt"]) {
      expect(await world.ask(client.secretKey, method, friend.publicKey, "rubbish")).toEqual({ outcome: "failed", error: expect.stringContaining("could not be decrypted") });
      expect(world.store.audit.query({}).at(-1)).toMatchObject({ action: method, outcome: "failed" });
    }
  });

  it("is told about a method that does not exist, even one that every object has", async () => {
    expect((await world.ask(client.secretKey, "create_account", "x")).error).toContain('no method "create_account"');
    expect((await world.ask(client.secretKey, "constructor")).outcome).toBe("refused");
  });

  it("is told when its params are no strings", async () => {
    expect(await world.ask(client.secretKey, "sign_event", { kind: 1 })).toEqual({ outcome: "malformed", error: expect.stringContaining("JSON text") });
  });

  it("can end its access itself, and an error tells so from then on", async () => {
    expect(await world.ask(client.secretKey, "logout")).toEqual({ outcome: "answered", result: "ack" });
    expect(await world.ask(client.secretKey, "ping")).toEqual({ outcome: "refused", error: expect.stringContaining("has ended") });
    expect(await world.ask(client.secretKey, "connect", "", "")).toEqual({ outcome: "refused", error: expect.stringContaining("new invitation") });
  });
});

describe("grants at the time of each request", () => {
  it("give exactly one of two requests at once the last use", async () => {
    const world = createWorld();
    const client = newClient();
    world.bind(client.publicKey, [{ method: "sign_event", cap: { uses: 1 } }]);
    const outcomes = await Promise.all([1, 2, 3].map((n) => world.signer.handle(world.request(client.secretKey, { id: String(n), method: "sign_event", params: [note({ content: String(n) })] }))));
    expect(outcomes.sort()).toEqual(["answered", "refused", "refused"]);
  });

  it("say when a use is free again, and it is", async () => {
    const world = createWorld();
    const client = newClient();
    world.bind(client.publicKey, [{ method: "sign_event", cap: { uses: 2, windowSeconds: 60 } }]);
    await world.ask(client.secretKey, "sign_event", note());
    world.clock.now += 10_000;
    await world.ask(client.secretKey, "sign_event", note({ content: "2" }));
    const { error } = await world.ask(client.secretKey, "sign_event", note({ content: "3" }));
    const free = /all 2 uses .* within 60 seconds are used up; free again at (.*)$/.exec(error!)![1]!;
    world.clock.now = Date.parse(free);
    expect((await world.ask(client.secretKey, "sign_event", note({ content: "4" }))).outcome).toBe("answered");
    expect((await world.ask(client.secretKey, "sign_event", note({ content: "5" }))).outcome).toBe("refused");
  });

  it("change under a client's feet: its policy, its end, its revocation", async () => {
    const world = createWorld();
    const client = newClient();
    const { id, policyId } = world.bind(client.publicKey, everything);
    world.store.policies.update(policyId!, { name: "p", rules: [{ method: "sign_event", kind: 7 }] });
    expect((await world.ask(client.secretKey, "sign_event", note())).error).toContain("may not sign kind 1");
    world.store.policies.update(policyId!, { name: "p", rules: everything, expiresAt: world.clock.now });
    expect((await world.ask(client.secretKey, "get_public_key")).error).toContain("ended at");
    world.store.clients.revoke(id, world.clock.now);
    expect((await world.ask(client.secretKey, "ping")).error).toContain("revoked");
  });

  it("allow nothing but being there to a client without a policy", async () => {
    const world = createWorld();
    const client = newClient();
    world.store.clients.add({ keyName: "work", publicKey: client.publicKey, name: "" });
    expect((await world.ask(client.secretKey, "ping")).result).toBe("pong");
    expect((await world.ask(client.secretKey, "get_public_key")).error).toContain("has no policy");
  });
});

describe("what is not answered", () => {
  const world = createWorld();
  const client = newClient();
  world.bind(client.publicKey, everything);
  const second = Math.floor(world.clock.now / 1000);
  const ping = (id: string) => ({ id, method: "ping", params: [] });

  it("is stale, future, for nobody, for a locked key, or a replay", async () => {
    expect(await world.signer.handle(world.request(client.secretKey, ping("1"), { createdAt: second - 601 }))).toBe("stale");
    expect(await world.signer.handle(world.request(client.secretKey, ping("2"), { createdAt: second + 121 }))).toBe("future");
    expect(await world.signer.handle(world.request(client.secretKey, ping("3"), { to: newClient().publicKey }))).toBe("unknown-key");
    expect(await world.signer.handle(world.request(client.secretKey, ping("4"), { to: world.asleep.publicKey }))).toBe("locked-key");
    expect(world.published).toEqual([]);
    const once = world.request(client.secretKey, ping("5"));
    expect(await world.signer.handle(once)).toBe("answered");
    expect(await world.signer.handle(once)).toBe("replayed");
    expect(world.published.length).toBe(1);
  });

  it("is a replay after a restart too, until it is stale", async () => {
    const event = world.request(client.secretKey, ping("6"));
    await world.signer.handle(event);
    const restarted = createWorld({ store: world.store, keyring: world.keyring });
    restarted.clock.now = world.clock.now + 600_000;
    expect(await restarted.signer.handle(event)).toBe("replayed");
    restarted.signer.sweep();
    expect(await restarted.signer.handle(event)).toBe("replayed");
    restarted.clock.now += 1000;
    expect(await restarted.signer.handle(event)).toBe("stale");
  });

  it("is in the older envelope, or not for this key, or an answer, which could go round for ever", async () => {
    const asAnswer = world.request(client.secretKey, { id: "7", result: "pong" });
    const older = { ...world.request(client.secretKey, ping("8")), content: nip04.encrypt(client.secretKey, world.key.publicKey, JSON.stringify(ping("8"))) };
    const foreign = { ...world.request(client.secretKey, ping("9")), content: world.request(newClient().secretKey, ping("9")).content };
    const before = world.published.length;
    for (const event of [asAnswer, older, foreign]) expect(await world.signer.handle(event)).toBe("malformed");
    expect(world.published.length).toBe(before);
  });
});

describe("when something breaks", () => {
  it("an answer that no relay took is failed in the audit", async () => {
    const world = createWorld({ publish: async () => [] });
    const client = newClient();
    world.bind(client.publicKey, everything);
    expect(await world.signer.handle(world.request(client.secretKey, { id: "1", method: "sign_event", params: [note()] }))).toBe("failed");
    expect(world.store.audit.query({}).map(({ outcome }) => outcome)).toEqual(["allowed", "failed"]);
  });

  it("nothing signed leaves when the record cannot be written, and the client hears of it", async () => {
    const world = createWorld();
    const broken = createWorld({ store: { ...world.store, record: () => { throw new Error("database or disk is full"); } }, keyring: world.keyring });
    const client = newClient();
    world.bind(client.publicKey, [{ method: "sign_event", cap: { uses: 1 } }]);
    const event = world.request(client.secretKey, { id: "1", method: "sign_event", params: [note()] });
    expect(await broken.signer.handle(event)).toBe("failed");
    expect(broken.published.map(({ event: answer }) => world.read(answer, client.secretKey))).toEqual([{ id: "1", error: expect.stringContaining("could not write its records") }]);
    expect(broken.logged).toEqual([expect.stringContaining("disk is full")]);
    expect(await world.signer.handle(event)).toBe("answered");
  });
});

describe("locking a key", () => {
  it("ends its answers at once, whatever was remembered of it", async () => {
    const world = createWorld();
    const client = newClient();
    world.bind(client.publicKey, everything);
    expect((await world.ask(client.secretKey, "ping")).result).toBe("pong");
    world.keyring.lock("work");
    expect((await world.ask(client.secretKey, "ping")).outcome).toBe("locked-key");
  });

  it("leaves no conversation key in memory", async () => {
    const world = createWorld();
    const client = newClient();
    world.bind(client.publicKey, everything);
    const ping = (id: string) => world.signer.handle(world.request(client.secretKey, { id, method: "ping", params: [] }));
    expect(await ping("1")).toBe("answered");
    world.key.secretKey.set(newClient().secretKey);
    expect(await ping("2")).toBe("answered");
    world.keyring.lock("asleep");
    expect(await ping("3")).toBe("malformed");
  });
});
