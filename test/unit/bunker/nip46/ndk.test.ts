import NDK, { NDKEvent, NDKNip46Signer, NDKPrivateKeySigner, NDKUser } from "@nostr-dev-kit/ndk";
import { SimplePool } from "nostr-tools/pool";
import { verifyEvent } from "nostr-tools/pure";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { printBunkerUri } from "../../../../bunker/nip46/uri.js";
import { startRelay, type TestRelay } from "../../../nostr/relay.js";
import { createWorld, newClient } from "./world.js";

describe("NDK's client over a relay", () => {
  let relay: TestRelay;
  let ndk: NDK;
  const pool = new SimplePool();
  beforeAll(async () => {
    relay = await startRelay();
    ndk = new NDK({ explicitRelayUrls: [relay.url] });
    await ndk.connect(2000);
  });
  afterAll(async () => {
    for (const one of ndk.pool.relays.values()) one.disconnect();
    pool.destroy();
    await relay.stop();
  });

  it("connects, comes back with the secret that it has used, signs, encrypts and decrypts", async () => {
    const world = createWorld({
      now: Date.now, relays: () => [relay.url],
      publish: async (event) => { await Promise.any(pool.publish([relay.url], event)); return [relay.url]; },
    });
    pool.subscribe([relay.url], { kinds: [24133], "#p": [world.key.publicKey] }, { onevent: (event) => { void world.signer.handle(event); } });
    await expect.poll(() => relay.subscriptions().length).toBeGreaterThan(0);
    const rules = (["sign_event", "nip04_encrypt", "nip44_encrypt", "nip04_decrypt", "nip44_decrypt"] as const).map((method) => ({ method }));
    const { secret } = world.store.tokens.add({ keyName: "work", clientName: "ndk", policyId: world.policy(rules).id });
    const local = new NDKPrivateKeySigner(newClient().secretKey);

    for (const _start of ["first", "second"]) {
      const signer = NDKNip46Signer.bunker(ndk, printBunkerUri(world.key.publicKey, [relay.url], secret), local);
      expect((await signer.blockUntilReady()).pubkey).toBe(world.key.publicKey);
      const event = new NDKEvent(ndk, { kind: 1, content: "by NDK", tags: [], created_at: 1714078911, pubkey: world.key.publicKey });
      await event.sign(signer);
      expect(verifyEvent(event.rawEvent() as Parameters<typeof verifyEvent>[0])).toBe(true);
      const friend = new NDKUser({ pubkey: newClient().publicKey });
      for (const scheme of ["nip44", "nip04"] as const) {
        expect(await signer.decrypt(friend, await signer.encrypt(friend, "grüß dich", scheme), scheme)).toBe("grüß dich");
      }
      await expect(signer.decrypt(friend, "rubbish", "nip44")).rejects.toContain("could not be decrypted");
      signer.stop();
    }
  });
});
