import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import * as nip19 from "nostr-tools/nip19";
import * as nip44 from "nostr-tools/nip44";
import { generateSecretKey, getPublicKey } from "nostr-tools/pure";
import { describe, expect, it } from "vitest";
import { askAdmin, connectClient, everything, startProgram } from "./program.js";
import { bunkerWorld } from "./world.js";

const passphrase = "canary passphrase 4711 ü";
const world = bunkerWorld(passphrase);
const { start, withKeys } = world;

describe("the bunker as a program", () => {
  it("opens two encrypted keys after a restart by itself, and a client decrypts with both", async () => {
    const first = await start();
    await withKeys(first, "alice", "bob");
    const clients = [generateSecretKey(), generateSecretKey()];
    for (const [index, name] of ["alice", "bob"].entries()) await (await connectClient(world.relay.url, first, name, clients[index])).close();
    expect(await first.stop()).toBe(0);

    const second = await start();
    expect(second.output()).toMatch(/autounlock: unlocked alice\n.*autounlock: unlocked bob\n.*autounlock: enabled \(source=NSECBUNKER_AUTOUNLOCK_PASSPHRASE_FILE\), unlocked 2\/2 keys in \d+ms/);
    const friend = generateSecretKey();
    for (const [index, name] of ["alice", "bob"].entries()) {
      const { npub = "" } = (await second.call("get_keys") as { name: string; npub?: string }[]).find((key) => key.name === name)!;
      const signer = await connectAgain(nip19.decode(npub).data as string, clients[index]!);
      const sealed = nip44.encrypt(`for ${name}`, nip44.getConversationKey(friend, nip19.decode(npub).data as string));
      expect(await signer.nip44Decrypt(getPublicKey(friend), sealed)).toBe(`for ${name}`);
      await signer.close();
    }
    expect(await second.call("verify_audit")).not.toHaveProperty("fault");
    expect(await second.stop()).toBe(0);
  });

  it("waits for unlock_key where no variable is set", async () => {
    const first = await start();
    await withKeys(first, "alice");
    await first.stop();
    const second = await start({ environment: {} });
    expect(second.output()).toContain("autounlock: off, keys wait for unlock_key");
    expect(JSON.parse((await askAdmin(world.relay.url, world.home, "get_keys"))!.result)).toEqual([{ name: "alice", userCount: 0, tokenCount: 1 }]);
    expect(JSON.parse((await askAdmin(world.relay.url, world.home, "unlock_key", ["alice", "wrong"]))!.result)).toMatchObject({ success: false });
    expect(JSON.parse((await askAdmin(world.relay.url, world.home, "unlock_key", ["alice", passphrase]))!.result)).toEqual({ success: true });
    const signer = await connectClient(world.relay.url, second, "alice");
    await signer.ping();
    await signer.close();
  });

  it.each([
    ["two passphrases", { NSECBUNKER_AUTOUNLOCK_PASSPHRASE: passphrase, NSEC_BUNKER_AUTOUNLOCK_PASSPHRASE_FILE: "/x" }, /NSECBUNKER_AUTOUNLOCK_PASSPHRASE and NSEC_BUNKER_AUTOUNLOCK_PASSPHRASE_FILE/],
    ["a passphrase's file that cannot be read", { NSECBUNKER_AUTOUNLOCK_PASSPHRASE_FILE: "/nowhere/passphrase" }, /NSECBUNKER_AUTOUNLOCK_PASSPHRASE_FILE.*cannot be read/],
    ["no identity", { NSECBUNKER_ADMIN_KEY_FILE: "/nowhere/key" }, /NSECBUNKER_ADMIN_KEY_FILE.*cannot be read/],
    ["metrics for everybody", { NSECBUNKER_METRICS: "0.0.0.0:9100" }, /NSECBUNKER_METRICS/],
  ])("does not start with %s: one line, and exit 1", async (_, environment, words) => {
    const one = startProgram(world.home, environment);
    expect(await one.ended).toBe(1);
    expect(one.output()).toMatch(words);
    expect(one.output().trim().split("\n")).toHaveLength(1);
    expect(one.output()).not.toContain(passphrase);
  });

  it("answers admins in both envelopes, and a new key is there for a client at once", async () => {
    const one = await start();
    for (const envelope of ["nip04", "nip44"] as const) {
      expect(await askAdmin(world.relay.url, world.home, "ping", [], { envelope })).toMatchObject({ result: "ok" });
      expect(JSON.parse((await askAdmin(world.relay.url, world.home, "create_new_key", [envelope, passphrase], { envelope }))!.result)).toEqual({ npub: expect.stringMatching(/^npub1/) as string });
    }
    expect(await askAdmin(world.relay.url, world.home, "ping", [], { kind: 24_133 })).toMatchObject({ result: "ok" });
    expect(JSON.parse((await askAdmin(world.relay.url, world.home, "create_new_policy", [everything]))!.result)).toEqual(["ok"]);
    expect(JSON.parse((await askAdmin(world.relay.url, world.home, "create_new_token", ["nip44", "phone", "1"]))!.result)).toEqual(["ok"]);
    const signer = await connectClient(world.relay.url, one, "nip44");
    expect(await signer.signEvent({ kind: 1, content: "", tags: [], created_at: 1 })).toMatchObject({ kind: 1 });
    await signer.close();
    expect(await askAdmin(world.relay.url, world.home, "sing")).toMatchObject({ result: '["error","Unknown method sing"]' });
    const stranger = { ...world.home, admin: { secretKey: generateSecretKey(), publicKey: "" } };
    expect(await askAdmin(world.relay.url, { ...stranger, admin: { ...stranger.admin, publicKey: getPublicKey(stranger.admin.secretKey) } }, "ping", [], { deadlineMs: 500 })).toBeUndefined();
  });

  it("takes an identity that the gate placed, and comes back with it", async () => {
    const secretKey = generateSecretKey();
    mkdirSync(join(world.home.data, "identities"), { mode: 0o700 });
    writeFileSync(join(world.home.data, "identities", "main"), `${nip19.nsecEncode(secretKey)}\n`, { mode: 0o400 });
    await (await start()).stop();
    expect(readFileSync(join(world.home.data, "identities", "main"), "utf8")).toBe(`${nip19.npubEncode(getPublicKey(secretKey))}\n`);
    const second = await start();
    expect(await second.call("get_keys")).toMatchObject([{ name: "main", npub: nip19.npubEncode(getPublicKey(secretKey)) }]);
  });

  it("finishes what is in hand when it is told to end", async () => {
    const one = await start();
    const making = one.call("create_new_key", ["alice", passphrase]);
    await wait(50);
    expect(await one.stop()).toBe(0);
    expect(await making).toEqual({ npub: expect.stringMatching(/^npub1/) as string });
  });

  it("ends with 70 and one line when something unexpected happens, so that systemd starts it again", async () => {
    const fault = `data:text/javascript,${encodeURIComponent('setTimeout(() => { throw new Error("out of nowhere"); }, 500)')}`;
    const one = startProgram(world.home, { NODE_OPTIONS: `--import ${fault}` });
    world.running.push(one);
    expect(await one.ended).toBe(70);
    expect(one.output()).toMatch(/error a fault that nobody expected: out of nowhere\n$/);
    expect(one.output()).not.toContain("    at ");
  });

  it("comes back after kill -9, over the socket that is left", async () => {
    const one = await start();
    await withKeys(one, "alice");
    one.child.kill("SIGKILL");
    expect(await one.ended).toBe("SIGKILL");
    expect((await start()).output()).toMatch(/unlocked 1\/1/);
  });
});

async function connectAgain(publicKey: string, secretKey: Uint8Array) {
  const { BunkerSigner } = await import("nostr-tools/nip46");
  const signer = BunkerSigner.fromBunker(secretKey, { pubkey: publicKey, relays: [world.relay.url], secret: null }, {});
  await signer.connect();
  return signer;
}
