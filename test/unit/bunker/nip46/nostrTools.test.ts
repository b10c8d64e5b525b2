import { matchFilter, type Filter } from "nostr-tools/filter";
import { BunkerSigner, createNostrConnectURI, parseBunkerInput, type BunkerSignerParams } from "nostr-tools/nip46";
import { verifyEvent } from "nostr-tools/pure";
import { afterEach, describe, expect, it } from "vitest";
import { printBunkerUri } from "../../../../bunker/nip46/uri.js";
import type { NostrEvent } from "../../../../bunker/relays/relays.js";
import { createWorld, newClient } from "./world.js";

const relays = ["wss://one.example", "wss://two.example"];
const open: { close(): Promise<void> }[] = [];
afterEach(async () => { for (const one of open.splice(0)) await one.close(); });

/** A relay in memory between nostr-tools' client and the signer. Verifies what passes, as bunker/relays does. */
function createPlace() {
  const listeners = new Set<{ readonly filter: Filter; readonly onevent: (event: NostrEvent) => void }>();
  const overWire = (event: NostrEvent): NostrEvent => {
    const copy = JSON.parse(JSON.stringify(event)) as NostrEvent;
    if (!verifyEvent(copy)) throw new Error("an event with a wrong signature passed");
    return copy;
  };
  const deliver = (sent: NostrEvent) => {
    const event = overWire(sent);
    for (const { filter, onevent } of listeners) if (matchFilter({ ...filter, limit: 1 }, event)) onevent(event);
  };
  const world = createWorld({ publish: async (event) => { deliver(event); return relays; }, now: Date.now });
  const pool = {
    subscribe: (_relays: readonly string[], filter: Filter, { onevent }: { readonly onevent: (event: NostrEvent) => void }) => {
      const listener = { filter, onevent };
      listeners.add(listener);
      return { close: () => listeners.delete(listener) };
    },
    publish: (_relays: readonly string[], event: NostrEvent) => {
      void world.signer.handle(overWire(event));
      return [Promise.resolve("ok")];
    },
  } as unknown as NonNullable<BunkerSignerParams["pool"]>;
  return { world, pool };
}

const everything = (["sign_event", "nip04_encrypt", "nip04_decrypt", "nip44_encrypt", "nip44_decrypt"] as const).map((method) => ({ method }));

describe("nostr-tools' client", () => {
  it("connects by bunker://, does everything that there is, and logs out", async () => {
    const { world, pool } = createPlace();
    const { secret } = world.store.tokens.add({ keyName: "work", clientName: "tools", policyId: world.policy(everything).id });
    const client = newClient();
    const pointer = await parseBunkerInput(printBunkerUri(world.key.publicKey, relays, secret));
    const signer = BunkerSigner.fromBunker(client.secretKey, pointer!, { pool });
    open.push(signer);

    await signer.connect({ name: "My Client" });
    await signer.ping();
    expect(await signer.getPublicKey()).toBe(world.key.publicKey);
    expect(await signer.signEvent({ kind: 1, content: "hi", tags: [], created_at: 1714078911 })).toMatchObject({ kind: 1, content: "hi", pubkey: world.key.publicKey });
    const friend = newClient().publicKey;
    expect(await signer.nip44Decrypt(friend, await signer.nip44Encrypt(friend, "x".repeat(70_000)))).toBe("x".repeat(70_000));
    expect(await signer.nip04Decrypt(friend, await signer.nip04Encrypt(friend, "two"))).toBe("two");
    expect(await signer.switchRelays()).toBe(false);
    await expect(signer.nip44Encrypt("f".repeat(64), "x")).rejects.toContain("no such point");
    await signer.logout();
    expect(world.store.clients.find("work", client.publicKey)?.revokedAt).toBeDefined();
  });

  it("connects by nostrconnect:// and moves to the bunker's relays", async () => {
    const { world, pool } = createPlace();
    const client = newClient();
    const uri = createNostrConnectURI({ clientPubkey: client.publicKey, relays: ["wss://foreign.example"], secret: "0s8j2djs", name: "Tools" });
    const connecting = BunkerSigner.fromURI(client.secretKey, uri, { pool });
    await world.signer.connect(uri, "work", world.policy(everything).id);
    const signer = await connecting;
    open.push(signer);
    expect(signer.bp.relays).toEqual(relays);
    expect((await signer.signEvent({ kind: 7, content: "+", tags: [], created_at: 1 })).kind).toBe(7);
  });
});
