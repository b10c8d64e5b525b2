import { setTimeout as wait } from "node:timers/promises";
import * as nip04 from "nostr-tools/nip04";
import * as nip44 from "nostr-tools/nip44";
import { generateSecretKey, getPublicKey, verifyEvent, type NostrEvent } from "nostr-tools/pure";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { printBunkerUri } from "../../bunker/nip46/uri.js";
import { clientNames, startClient, type ClientName, type ClientProgram } from "../interop/nostr/client.js";
import { makeRelay, relayNames, type RelayProgram } from "../interop/nostr/relays.js";
import { invite, newKey } from "../nostr/operator.js";
import { build, everything, makeHome, startProgram, type Home, type Running } from "../unit/bunker/program.js";

const passphrase = "of the bunker that others talk to";
const hex = (key: Uint8Array): string => Buffer.from(key).toString("hex");
const note = (content: string) => ({ kind: 1, content, tags: [["t", "interop"]], created_at: 1_714_078_911 });

describe.each(relayNames)("through %s, the bunker", (relayName) => {
  let relay: RelayProgram;
  let home: Home;
  let running: Running;
  let key: string;
  let other: string;
  const clients: ClientProgram[] = [];
  beforeAll(async () => {
    await build();
    relay = await makeRelay(relayName);
    await relay.start();
    home = makeHome([relay.url], passphrase);
    running = startProgram(home);
    await running.says(/ready/, 60_000);
    await running.call("create_new_policy", [everything]);
    key = await newKey(running, "main", passphrase);
    other = await newKey(running, "other", passphrase);
  });
  afterAll(async () => {
    for (const client of clients) await client.stop();
    running.child.kill("SIGKILL");
    await running.ended;
    await relay.kill();
    home.remove();
  });

  async function started(name: ClientName): Promise<ClientProgram> {
    const client = await startClient(name);
    clients.push(client);
    return client;
  }

  const invited = (called: string, policy = 1, hours?: number): Promise<string> => invite(running, { name: "main", publicKey: key }, [relay.url], called, policy, hours);
  const invitedToOther = (called: string): Promise<string> => invite(running, { name: "other", publicKey: other }, [relay.url], called);

  async function bound(name: ClientName, policy = 1): Promise<{ readonly client: ClientProgram; readonly uri: string; readonly secretKey: string; readonly id: number }> {
    const client = await started(name);
    const [uri, own] = [await invited(`${name} ${clients.length}`, policy), generateSecretKey()];
    await client.ask("connect", { uri, secretKey: hex(own) });
    const users = await running.call("get_key_users", ["main"]) as { readonly id: number; readonly pubkey: string }[];
    return { client, uri, secretKey: hex(own), id: users.find(({ pubkey }) => pubkey === getPublicKey(own))!.id };
  }

  it.each(clientNames)("serves %s: signs, encrypts and decrypts both ways with either cipher and either key, and refuses it once it is gone", async (name) => {
    const { client, uri, secretKey, id } = await bound(name);
    expect(await client.ask("get_public_key")).toBe(key);
    const signed = await client.ask("sign", { event: { ...note(`by ${name}, grüß dich`), pubkey: key } }) as NostrEvent;
    // go-nostr (btcec) and nostr-sdk (libsecp256k1) have verified it already; NDK's is computed here and there by the same library.
    expect(verifyEvent({ ...signed })).toBe(true);
    expect(signed).toMatchObject({ ...note(`by ${name}, grüß dich`), pubkey: key });

    const friend = generateSecretKey();
    const [whom, conversation] = [getPublicKey(friend), nip44.getConversationKey(friend, key)];
    const [there, back] = [`to the friend, ${name} ü`, `from the friend, ${name} ✓`];
    expect(nip44.decrypt(await client.ask("encrypt", { scheme: "nip44", with: whom, text: there }) as string, conversation)).toBe(there);
    expect(await client.ask("decrypt", { scheme: "nip44", with: whom, text: nip44.encrypt(back, conversation) })).toBe(back);
    expect(nip04.decrypt(friend, key, await client.ask("encrypt", { scheme: "nip04", with: whom, text: there }) as string)).toBe(there);
    expect(await client.ask("decrypt", { scheme: "nip04", with: whom, text: nip04.encrypt(friend, key, back) })).toBe(back);
    await expect(client.ask("decrypt", { scheme: "nip44", with: whom, text: "rubbish" })).rejects.toThrow(/could not be decrypted/);

    const atOther = await started(name);
    await atOther.ask("connect", { uri: await invitedToOther(name), secretKey });
    expect(await atOther.ask("get_public_key")).toBe(other);
    expect(await atOther.ask("decrypt", { scheme: "nip44", with: key, text: await client.ask("encrypt", { scheme: "nip44", with: other, text: there }) as string })).toBe(there);
    expect(await client.ask("decrypt", { scheme: "nip44", with: other, text: await atOther.ask("encrypt", { scheme: "nip44", with: key, text: back }) as string })).toBe(back);

    // nostr-sdk has no word for it.
    if (name === "nostr-sdk") await running.call("revoke_user", [id]);
    else {
      expect(await client.ask("ping")).toBe("pong");
      await client.ask("logout");
    }
    await expect((await started(name)).ask("connect", { uri, secretKey })).rejects.toThrow(/the secret is wrong, was used before or has expired/);
  });

  // go-nostr has no such thing.
  it.each(clientNames.filter((name) => name !== "go-nostr"))("takes up what %s offers (nostrconnect://), and signs for it", async (name) => {
    const client = await started(name);
    const own = generateSecretKey();
    const offer = await client.ask("offer", { uri: relay.url, secretKey: hex(own) });
    // A person takes longer to hand it on than a client to listen.
    await wait(1000);
    expect(await running.call("connect_client", [offer, "main", 1])).toEqual({ pubkey: getPublicKey(own), relays: [relay.url] });
    await client.ask("offered");
    expect(verifyEvent(await client.ask("sign", { event: { ...note("offered"), pubkey: key } }) as NostrEvent)).toBe(true);
  });

  it.each(clientNames)("tells %s at once that a secret is used, wrong or expired", async (name) => {
    const { uri } = await bound(name);
    const expired = await invited(`${name}, too late`, 1, 1e-6);
    const wrong = printBunkerUri(key, [relay.url], "0".repeat(64));
    for (const bad of [uri, wrong, expired]) {
      const client = await started(name);
      await expect(client.ask("connect", { uri: bad, secretKey: hex(generateSecretKey()) })).rejects.toThrow(/the secret is wrong, was used before or has expired/);
      await client.stop();
    }
  });

  it.each(clientNames)("tells %s at once that its grant has lapsed: used up, over, taken back", async (name) => {
    const policy = async (given: object): Promise<number> => {
      const called = `${name} ${JSON.stringify(given)}`.slice(0, 60);
      await running.call("create_new_policy", [{ name: called, ...given }]);
      return (await running.call("get_policies") as { readonly id: number; readonly name: string }[]).findLast((one) => one.name === called)!.id;
    };
    const capped = await policy({ rules: [{ method: "sign_event", kind: 1, use_count: 2 }] });
    const { client, id } = await bound(name, capped);
    const sign = (content: string, kind = 1) => client.ask("sign", { event: { ...note(content), kind, pubkey: key } });
    await expect(sign("not its kind", 4)).rejects.toThrow(/may not sign kind 4 events/);
    await sign("first");
    await sign("second");
    const began = performance.now();
    await expect(sign("third")).rejects.toThrow(/all 2 uses that its policy grants are used up/);

    await running.call("update_policy", [capped, { name: "over", expires_at: "2026-01-01T00:00:00Z", rules: [{ method: "sign_event" }] }]);
    await expect(sign("too late")).rejects.toThrow(/policy for this key ended at 2026-01-01/);
    await running.call("update_policy", [capped, { name: "again", rules: [{ method: "sign_event" }] }]);
    await sign("prolonged");
    await running.call("revoke_user", [id]);
    await expect(sign("taken back")).rejects.toThrow(/access to this key has ended/);
    // None of them waited for its own deadline of 20 s.
    expect(performance.now() - began).toBeLessThan(15_000);
  });
});
