import * as nip04 from "nostr-tools/nip04";
import * as nip44 from "nostr-tools/nip44";
import { finalizeEvent, generateSecretKey, getPublicKey, verifyEvent, type NostrEvent } from "nostr-tools/pure";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createAdminRpc, type AdminRpc } from "../../../../bunker/admin/rpc.js";
import { standIn, type StandIn } from "./standIn.js";

const [bunker, admin, stranger] = [generateSecretKey(), generateSecretKey(), generateSecretKey()];
const identity = { secretKey: bunker, publicKey: getPublicKey(bunker) };
let here: StandIn;
let rpc: AdminRpc;
let published: NostrEvent[];
let relays: string[];

type Envelope = "nip04" | "nip44";
const sealed = (from: Uint8Array, text: string, envelope: Envelope): string => (envelope === "nip04" ? nip04.encrypt(from, identity.publicKey, text) : nip44.encrypt(text, nip44.getConversationKey(from, identity.publicKey)));

function request(method: string, params: unknown[] = [], { from = admin, envelope = "nip44" as Envelope, kind = 24134, late = 0, text = JSON.stringify({ id: "r1", method, params }) } = {}): NostrEvent {
  return finalizeEvent({ kind, created_at: Math.floor((here.time + late) / 1000), tags: [["p", identity.publicKey]], content: sealed(from, text, envelope) }, from);
}

function replies(envelope: Envelope = "nip44"): unknown[] {
  return published.map(({ content }) => JSON.parse(envelope === "nip04" ? nip04.decrypt(admin, identity.publicKey, content) : nip44.decrypt(content, nip44.getConversationKey(admin, identity.publicKey))));
}

describe("the admin RPC", () => {
  beforeEach(() => {
    here = standIn();
    published = [];
    relays = ["wss://relay.example"];
    rpc = createAdminRpc({ context: here.context, identity, admins: new Set([getPublicKey(admin)]), publish: async (event) => {
      published.push(event);
      return relays;
    } });
  });
  afterEach(() => here.remove());

  it.each(["nip04", "nip44"] as const)("answers in the envelope it was asked in: %s", async (envelope) => {
    expect(await rpc.handle(request("ping", [], { envelope }))).toBe("answered");
    expect(replies(envelope)).toEqual([{ id: "r1", result: "ok" }]);
    expect(published[0]).toMatchObject({ kind: 24134, pubkey: identity.publicKey, tags: [["p", getPublicKey(admin)]] });
    expect(verifyEvent(published[0]!)).toBe(true);
  });

  it("answers kind 24133 in kind", async () => {
    await rpc.handle(request("ping", [], { kind: 24133 }));
    expect(published[0]!.kind).toBe(24133);
  });

  it("gives results as JSON texts, and errors as nsecbunkerd does", async () => {
    await rpc.handle(request("get_keys"));
    await rpc.handle(request("sing"));
    await rpc.handle(request("create_new_key", ["alice"]));
    await rpc.handle(request("unlock_key", ["alice", "x"]));
    expect(replies()).toEqual([
      { id: "r1", result: "[]" },
      { id: "r1", result: JSON.stringify(["error", "Unknown method sing"]) },
      { id: "r1", result: "error", error: 'create_new_key: wants the parameter "passphrase"' },
      { id: "r1", result: expect.stringMatching(/^\{"success":false,"error":".*"\}$/) as string },
    ]);
  });

  it("answers nobody but admins, and never decrypts for them", async () => {
    expect(await rpc.handle(request("ping", [], { from: stranger }))).toBe("stranger");
    expect(published).toEqual([]);
    expect(here.store.audit.query({})).toEqual([]);
  });

  it("does nothing twice, and nothing of another time", async () => {
    const event = request("create_new_policy", [{ name: "x", rules: [] }]);
    expect(await rpc.handle(event)).toBe("answered");
    expect(await rpc.handle(event)).toBe("replayed");
    expect(await rpc.handle(request("lock_all", [], { late: -601_000 }))).toBe("stale");
    expect(await rpc.handle(request("lock_all", [], { late: 121_000 }))).toBe("future");
    expect(here.store.policies.all()).toHaveLength(1);
    expect(published).toHaveLength(1);
  });

  it.each(["", "no JSON", "[]", "null", '{"id":1,"method":"ping"}', '{"id":"a","method":"ping","params":"x"}', '{"id":"a"}'].map((text) => [text]))("counts %j as malformed", async (text) => {
    if (text !== "") expect(await rpc.handle(request("", [], { text }))).toBe("malformed");
    expect(await rpc.handle({ ...request("ping"), content: text })).toBe("malformed");
    expect(published).toEqual([]);
  });

  it("says so when an answer does not fit an event", async () => {
    const big = createAdminRpc({ context: { ...here.context, metrics: () => "x".repeat(70_000) }, identity, admins: new Set([getPublicKey(admin)]), publish: async (event) => {
      published.push(event);
      return relays;
    } });
    await big.handle(request("metrics"));
    expect(replies()).toEqual([{ id: "r1", result: "error", error: expect.stringContaining("too long") as string }]);
  });

  it("refuses more at once than it can bear, at once", async () => {
    let release = (): void => {};
    here.slow = new Promise((resolve) => { release = resolve; });
    const asked = Array.from({ length: 33 }, (_, index) => rpc.handle(request("unlock_key", ["alice", `x${index}`])));
    expect(await asked[32]).toBe("busy");
    release();
    expect(await Promise.all(asked.slice(0, 32))).toEqual(Array.from({ length: 32 }, () => "failed"));
  });

  it("tells the metrics when no relay took the answer", async () => {
    relays = [];
    expect(await rpc.handle(request("ping"))).toBe("unheard");
  });
});
