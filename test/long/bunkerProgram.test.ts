import { readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import * as nip19 from "nostr-tools/nip19";
import * as nip44 from "nostr-tools/nip44";
import { BunkerSigner, createNostrConnectURI } from "nostr-tools/nip46";
import { finalizeEvent, generateSecretKey, getPublicKey } from "nostr-tools/pure";
import { Relay } from "nostr-tools/relay";
import { describe, expect, it } from "vitest";
import { startRelay } from "../nostr/relay.js";
import { askAdmin, connectClient, everything, startProgram } from "../unit/bunker/program.js";
import { bunkerWorld } from "../unit/bunker/world.js";

const passphrase = "canary passphrase 4711 ü";
const world = bunkerWorld(passphrase);
const { start, withKeys } = world;

describe("the bunker as a program", () => {
  it("answers every request that is sent while it starts, and none with locked", async () => {
    const names = Array.from({ length: 5 }, (_, index) => `key${index}`);
    const first = await start();
    await withKeys(first, ...names);
    const client = generateSecretKey();
    await (await connectClient(world.relay.url, first, "key4", client)).close();
    const key = (await first.call("status") as { keys: { name: string; publicKey: string }[] }).keys.find(({ name }) => name === "key4")!.publicKey;
    await first.stop();

    const second = startProgram(world.home);
    world.running.push(second);
    const { due, answers } = await hammer(client, key, () => /ready/.test(second.output()));
    expect(due.size).toBeGreaterThan(15);
    for (const [id, { error }] of answers) expect(error, id).toBeUndefined();
    expect([...due].filter((id) => !answers.has(id))).toEqual([]);
    expect(second.output()).toMatch(/unlocked 5\/5/);
  });

  it("serves a client that came by nostrconnect at a relay of its own, after a restart too", async () => {
    const own = await startRelay();
    try {
      const first = await start();
      await withKeys(first, "alice");
      const client = generateSecretKey();
      const uri = createNostrConnectURI({ clientPubkey: getPublicKey(client), relays: [own.url], secret: "5ecre7", name: "desk" });
      const connecting = BunkerSigner.fromURI(client, uri, { skipSwitchRelays: true }, 20_000);
      await wait(300);
      expect(await first.call("connect_client", [uri, "alice", "1"])).toEqual({ pubkey: getPublicKey(client), relays: [own.url] });
      const signer = await connecting;
      expect(await signer.signEvent({ kind: 1, content: "", tags: [], created_at: 1 })).toMatchObject({ kind: 1 });
      await first.stop();
      const second = await start();
      await second.says(/2 of 2 relays listen/);
      expect(await signer.getPublicKey()).toBe((await second.call("status") as { keys: { publicKey: string }[] }).keys[0]!.publicKey);
      await signer.close();
      await second.call("revoke_user", ["1"]);
      await second.stop();
      await (await start()).says(/1 of 1 relays listen/);
    } finally {
      await own.stop();
    }
  });

  it("answers as soon as a relay that went away is back, and one that was down at the start", async () => {
    const first = await start();
    await withKeys(first, "alice");
    const client = generateSecretKey();
    const signer = await connectClient(world.relay.url, first, "alice", client);
    await signer.close();
    await first.stop();
    await world.relay.stop();
    const second = startProgram(world.home);
    world.running.push(second);
    await second.says(/unlocked 1\/1/);
    expect(second.output()).not.toContain("ready");
    await world.relay.restart();
    await second.says(/ready: 1 of 1 relays listen/, 6000);
    for (const down of [200, 3000]) {
      await world.relay.restart({ afterMs: down });
      expect(await answerWithin(6000)).toBeDefined();
    }

    /** Of a fresh admin request each second: one of them is answered. */
    async function answerWithin(deadlineMs: number): Promise<unknown> {
      return Promise.any(Array.from({ length: Math.floor(deadlineMs / 1000) }, async (_, index) => {
        await wait(index * 1000);
        return await askAdmin(world.relay.url, world.home, "ping", [], { deadlineMs: deadlineMs - index * 1000 }) ?? Promise.reject(new Error("no answer"));
      }));
    }
  });

  it("shows metrics on loopback and at the control socket", async () => {
    const port = 20_000 + Math.floor(Math.random() * 12_000);
    const one = await start({ environment: { NSECBUNKER_AUTOUNLOCK_PASSPHRASE_FILE: world.home.passphraseFile, NSECBUNKER_METRICS: `127.0.0.1:${port}` } });
    await withKeys(one, "alice", "bob");
    await one.call("lock", ["bob"]);
    const signer = await connectClient(world.relay.url, one, "alice");
    await signer.signEvent({ kind: 1, content: "", tags: [], created_at: 1 });
    await signer.close();
    const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
    expect(text).toMatch(/^nsecbunkerd_keys_unlocked_total 1$/m);
    expect(text).toMatch(/^nsecbunkerd_keys_locked_total 1$/m);
    expect(text).toMatch(/^nsecbunkerd_requests_total\{method="sign_event",outcome="allowed"\} 1$/m);
    expect(text).toContain(`nsecbunkerd_relay_listening{relay="${world.relay.url}"} 1`);
    expect(await one.call("metrics")).toMatch(/^nsecbunkerd_keys_locked_total 1$/m);
  });

  it("keeps a panic lock over a restart, until unlock_key", async () => {
    const first = await start();
    await withKeys(first, "alice", "bob");
    expect(JSON.parse((await askAdmin(world.relay.url, world.home, "lock_all"))!.result)).toEqual(["ok"]);
    await first.stop();
    const second = await start();
    expect(second.output()).toMatch(/passed over what was locked on purpose: alice, bob/);
    expect(second.output()).toMatch(/unlocked 0\/0/);
    expect(await second.call("unlock_key", ["bob", passphrase])).toEqual({ success: true });
    await second.stop();
    const third = await start();
    expect(third.output()).toMatch(/unlocked 1\/1/);
    expect((await third.call("status") as { keys: unknown[] }).keys).toMatchObject([{ name: "alice", is: "locked", held: true }, { name: "bob", is: "open", held: false }]);
  });

  it("shows no passphrase and no key in what it writes, stores and answers", async () => {
    const secretKey = generateSecretKey();
    const canaries = [passphrase, "passphrase 4711", nip19.nsecEncode(secretKey), Buffer.from(secretKey).toString("hex"), nip19.nsecEncode(world.home.identity.secretKey), Buffer.from(world.home.identity.secretKey).toString("hex")];
    const one = await start({ environment: { NSECBUNKER_AUTOUNLOCK_PASSPHRASE: passphrase } });
    await one.call("create_new_policy", [everything]);
    await one.call("create_new_key", ["alice", passphrase, nip19.nsecEncode(secretKey)]);
    await askAdmin(world.relay.url, world.home, "create_new_key", ["alice", passphrase, nip19.nsecEncode(secretKey)]);
    await askAdmin(world.relay.url, world.home, "create_new_key", [passphrase]);
    await askAdmin(world.relay.url, world.home, "unlock_key", ["alice", `wrong ${passphrase}`]);
    await askAdmin(world.relay.url, world.home, "unlock_key", ["nobody", passphrase]);
    await one.call("create_new_token", ["alice", "phone", "1"]);
    const signer = await connectClient(world.relay.url, one, "alice");
    await signer.nip44Encrypt(getPublicKey(generateSecretKey()), "canary content");
    await signer.close();
    const answers = await Promise.all(["get_keys", "status", "metrics", "query_audit", "get_policies"].map((method) => one.call(method)));
    const written = (): string => [one.output(), JSON.stringify(answers), ...filesBelow(world.home.data).map((path) => readFileSync(path, "latin1"))].join("\n");
    for (const canary of [...canaries, "canary content"]) expect(written()).not.toContain(canary);
    await one.stop();
    expect(readFileSync(join(world.home.data, "bunker.db"), "latin1")).toContain("ncryptsec1");
    for (const canary of [...canaries, "canary content"]) expect(written()).not.toContain(canary);
    writeFileSync(join(world.home.data, "left-behind"), nip19.nsecEncode(secretKey));
    expect(written(), "the search finds what is there").toContain(nip19.nsecEncode(secretKey));
    rmSync(join(world.home.data, "left-behind"));
    for (const path of filesBelow(world.home.data)) expect(statSync(path).mode & 0o077, path).toBe(0);
  });
});

/** Asks every 30 ms until `until`, and once more. @returns what was sent while the bunker was subscribed, and every answer by its id */
async function hammer(client: Uint8Array, key: string, until: () => boolean) {
  const line = await Relay.connect(world.relay.url);
  const conversation = nip44.getConversationKey(client, key);
  const answers = new Map<string, { readonly result?: string; readonly error?: string }>();
  const due = new Set<string>();
  line.subscribe([{ kinds: [24_133], authors: [key], "#p": [getPublicKey(client)] }], { onevent: (event) => {
    const { id, ...answer } = JSON.parse(nip44.decrypt(event.content, conversation)) as { id: string; result?: string; error?: string };
    answers.set(id, answer);
  } });
  for (let count = 0, last = 2; last > 0 && count < 500; count++) {
    if (until()) last--;
    const id = `r${count}`;
    const listens = world.relay.subscriptions().some((filters) => filters.some((filter) => filter["#p"]?.includes(key)));
    const event = finalizeEvent({ kind: 24_133, created_at: Math.floor(Date.now() / 1000), tags: [["p", key]], content: nip44.encrypt(JSON.stringify({ id, method: "get_public_key", params: [] }), conversation) }, client);
    if (listens) due.add(id);
    void line.publish(event);
    await wait(30);
  }
  for (let tries = 0; tries < 100 && [...due].some((id) => !answers.has(id)); tries++) await wait(50);
  line.close();
  return { due, answers };
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}
