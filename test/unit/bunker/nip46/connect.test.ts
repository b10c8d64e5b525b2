import { describe, expect, it } from "vitest";
import { createWorld, newClient, note } from "./world.js";

describe("connect", () => {
  const world = createWorld();
  const client = newClient();
  const policyId = world.policy([{ method: "sign_event", kind: 1 }]).id;
  const invite = (expiresAt?: number) => world.store.tokens.add({ keyName: "work", clientName: "", policyId, ...(expiresAt === undefined ? {} : { expiresAt }) });

  it("refuses whoever brings no secret or a wrong one", async () => {
    expect(await world.ask(client.secretKey, "connect", "", "")).toEqual({ outcome: "refused", error: expect.stringContaining("not known to this key") });
    expect(await world.ask(client.secretKey, "connect", "", "00")).toEqual({ outcome: "refused", error: expect.stringContaining("wrong, was used before or has expired") });
    expect(world.store.clients.all()).toEqual([]);
  });

  it("answers ack to a secret that nobody used, and takes a name from the metadata without anything invisible in it", async () => {
    const { secret } = invite();
    const metadata = JSON.stringify({ name: "My\u001b[31m Wallet\u202e\n", url: "https://app.example" });
    expect(await world.ask(client.secretKey, "connect", world.key.publicKey, secret, "sign_event:4", metadata)).toEqual({ outcome: "answered", result: "ack" });
    expect(world.store.clients.find("work", client.publicKey)).toMatchObject({ name: "My[31m Wallet", policyId });
    expect((await world.ask(client.secretKey, "sign_event", note())).outcome).toBe("answered");
  });

  it("does not grant what a client merely wishes for", async () => {
    expect(await world.ask(client.secretKey, "sign_event", note({ kind: 4 })))
      .toEqual({ outcome: "refused", error: "this client may not sign kind 4 events with this key; ask its owner for a policy that allows it" });
  });

  it("lets nobody use a secret again, but its own client come back with it or without", async () => {
    const { secret } = invite();
    const other = newClient();
    expect((await world.ask(other.secretKey, "connect", "", secret)).result).toBe("ack");
    expect((await world.ask(newClient().secretKey, "connect", "", secret)).error).toContain("was used before");
    expect((await world.ask(other.secretKey, "connect", "", secret)).result).toBe("ack");
    expect((await world.ask(other.secretKey, "connect", "")).result).toBe("ack");
  });

  it("refuses a secret that has expired, or that was sent to another key", async () => {
    const { secret } = invite(world.clock.now);
    expect((await world.ask(newClient().secretKey, "connect", "", secret)).error).toContain("has expired");
    expect((await world.ask(newClient().secretKey, "connect", world.asleep.publicKey, invite().secret)).error).toContain("another key");
  });

  it("gives a revoked client a new start with a new invitation alone", async () => {
    world.store.clients.revoke(world.store.clients.find("work", client.publicKey)!.id, world.clock.now);
    expect((await world.ask(client.secretKey, "connect", "", "")).outcome).toBe("refused");
    expect((await world.ask(client.secretKey, "connect", "", invite().secret)).result).toBe("ack");
    expect((await world.ask(client.secretKey, "sign_event", note())).outcome).toBe("answered");
  });

  it("keeps the name that a person gave", async () => {
    world.store.clients.rename(client.publicKey, "Alice's phone");
    await world.ask(client.secretKey, "connect", "", "", "", JSON.stringify({ name: "Evil" }));
    expect(world.store.clients.find("work", client.publicKey)?.name).toBe("Alice's phone");
  });
});

describe("nostrconnect://", () => {
  const rules = [{ method: "sign_event" as const }];
  const uri = (client: string, more = "") => `nostrconnect://${client}?relay=wss%3A%2F%2Frelay1.example.com&secret=0s8j2djs&name=My+Client${more}`;

  it("makes the client one of the key's and returns its secret where it listens", async () => {
    const world = createWorld();
    const client = newClient();
    const policyId = world.policy(rules).id;
    expect(await world.signer.connect(uri(client.publicKey), "work", policyId)).toEqual({ client: client.publicKey, relays: ["wss://relay1.example.com"] });
    expect(world.published[0]!.also).toEqual(["wss://relay1.example.com"]);
    expect(world.read(world.published[0]!.event, client.secretKey).result).toBe("0s8j2djs");
    expect(world.store.clients.find("work", client.publicKey)).toMatchObject({ name: "My Client", policyId });
    expect((await world.ask(client.secretKey, "sign_event", note())).outcome).toBe("answered");
  });

  it("can be done again, after a revocation too: the policy named last counts", async () => {
    const world = createWorld();
    const client = newClient();
    await world.signer.connect(uri(client.publicKey), "work", world.policy([]).id);
    world.store.clients.revoke(world.store.clients.find("work", client.publicKey)!.id, world.clock.now);
    await world.signer.connect(uri(client.publicKey), "work", world.policy(rules).id);
    expect((await world.ask(client.secretKey, "sign_event", note())).outcome).toBe("answered");
  });

  it("says what is missing: the key, the policy, a relay that answers", async () => {
    const world = createWorld({ publish: async () => [] });
    const client = newClient().publicKey;
    await expect(world.signer.connect(uri(client), "asleep", 1)).rejects.toThrow("asleep is locked");
    await expect(world.signer.connect(uri(client), "work", 99)).rejects.toThrow("no policy 99");
    await expect(world.signer.connect(uri(client), "work", world.policy([]).id)).rejects.toThrow("no relay took the answer");
  });
});
