import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as nip19 from "nostr-tools/nip19";
import { generateSecretKey, getPublicKey } from "nostr-tools/pure";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { callMethod } from "../../../../bunker/admin/call.js";
import { openHolds } from "../../../../bunker/admin/holds.js";
import { methods } from "../../../../bunker/admin/methods.js";
import { standIn, type StandIn } from "./standIn.js";

const admin = "a".repeat(64);
const passphrase = "canary-passphrase-4711";
const signing = { name: "wallet", expires_at: null, rules: [{ method: "sign_event", kind: "1", use_count: 5 }, { method: "nip44_decrypt" }] };
let here: StandIn;

const ask = (name: string, ...params: unknown[]): ReturnType<typeof callMethod> => callMethod(here.context, name, params, admin);
async function done(name: string, ...params: unknown[]): Promise<unknown> {
  const answer = await ask(name, ...params);
  if (answer.is !== "done") throw new Error(answer.error);
  return answer.result;
}
const audit = (): string[] => here.store.audit.query({}).map(({ action, keyName, outcome, note }) => [action, keyName, outcome, note].filter((part) => part !== undefined).join(" "));

describe("admin methods", () => {
  beforeEach(() => { here = standIn(); });
  afterEach(() => here.remove());

  it("has all of nsecbunkerd's, and not the one that was open to anyone", () => {
    expect([...methods.keys()]).toEqual(expect.arrayContaining(["ping", "get_keys", "create_new_key", "unlock_key", "get_key_users", "get_key_tokens", "create_new_policy", "get_policies", "create_new_token", "rename_key_user", "revoke_user"]));
    expect(methods.has("create_account")).toBe(false);
  });

  it("answers ping with ok, and unknown methods by name", async () => {
    expect(await done("ping")).toBe("ok");
    expect(await ask("sing")).toEqual({ is: "unknown", error: "Unknown method sing" });
    expect((await ask("toString")).is).toBe("unknown");
  });

  it("makes a key, and answers once relays send what is for it", async () => {
    const result = await done("create_new_key", "alice", passphrase) as { npub: string };
    expect(result).toEqual({ npub: nip19.npubEncode(here.keyring.get("alice")!.publicKey) });
    expect(here.deeds).toEqual(["listen"]);
    expect(audit()).toEqual(["create_new_key alice allowed begun", "create_new_key alice allowed done"]);
  });

  it("takes over a given nsec, and refuses one that is none without quoting it", async () => {
    const secretKey = generateSecretKey();
    expect(await done("create_new_key", "alice", passphrase, nip19.nsecEncode(secretKey))).toEqual({ npub: nip19.npubEncode(getPublicKey(secretKey)) });
    const bad = await ask("create_new_key", "bob", passphrase, "nsec1canary");
    expect(bad).toEqual({ is: "failed", error: 'create_new_key: the parameter "nsec" does not fit: wants nsec1… or 64 hex digits' });
  });

  it("never overwrites a name", async () => {
    await done("create_new_key", "alice", passphrase);
    const before = here.keyring.get("alice")!.publicKey;
    expect((await ask("create_new_key", "alice", "another")).is).toBe("failed");
    expect(here.keyring.get("alice")!.publicKey).toBe(before);
    expect(audit().at(-1)).toBe("create_new_key alice failed");
  });

  it("lists keys: a locked one has no npub", async () => {
    await done("create_new_key", "alice", passphrase);
    await done("create_new_key", "bob", passphrase);
    await done("lock", "bob");
    expect(await done("get_keys")).toEqual([
      { name: "alice", npub: nip19.npubEncode(here.keyring.get("alice")!.publicKey), userCount: 0, tokenCount: 0 },
      { name: "bob", userCount: 0, tokenCount: 0 },
    ]);
  });

  it("unlocks, twice if asked to, and answers a failure as nsecbunkerd does", async () => {
    await done("create_new_key", "alice", passphrase);
    await done("lock", "alice");
    expect(await ask("unlock_key", "alice", "wrong")).toMatchObject({ is: "failed", result: { success: false, error: expect.stringContaining("does not open alice") as string } });
    expect(await done("unlock_key", "alice", passphrase)).toEqual({ success: true });
    expect(await done("unlock_key", "alice", passphrase)).toEqual({ success: true });
  });

  it("names the parameter that is missing, too much or unfit", async () => {
    expect(await ask("unlock_key", "alice")).toMatchObject({ error: 'unlock_key: wants the parameter "passphrase"' });
    expect(await ask("create_new_key", "", "x")).toMatchObject({ error: 'create_new_key: wants the parameter "key name"' });
    expect(await ask("revoke_user", "x")).toMatchObject({ error: 'revoke_user: the parameter "key user id" does not fit: wants a number' });
    expect(await ask("ping", "x")).toMatchObject({ error: "ping: takes no parameters, and got 1 parameters" });
  });

  it("keeps policies as nsecbunkerd writes them, with counterparties and windows", async () => {
    const friend = getPublicKey(generateSecretKey());
    await done("create_new_policy", JSON.stringify(signing));
    await done("create_new_policy", { name: "mail", expires_at: "2027-01-01T00:00:00Z", rules: [{ method: "decrypt", counterparty: nip19.npubEncode(friend), use_count: 3, window_seconds: 60 }, { method: "sign_event", kind: "all" }] });
    expect(await done("get_policies")).toEqual([
      { id: 1, name: "wallet", created_at: "2026-11-21T00:00:00.000Z", expires_at: null, rules: [
        { method: "sign_event", kind: "1", max_usage_count: 5, current_usage_count: 0 },
        { method: "nip44_decrypt", kind: null, max_usage_count: null, current_usage_count: 0 },
      ] },
      { id: 2, name: "mail", created_at: "2026-11-21T00:00:00.000Z", expires_at: "2027-01-01T00:00:00.000Z", rules: [
        { method: "nip04_decrypt", kind: null, max_usage_count: 3, current_usage_count: 0, window_seconds: 60, counterparty: friend },
        { method: "sign_event", kind: null, max_usage_count: null, current_usage_count: 0 },
      ] },
    ]);
  });

  it.each([
    ["no JSON at all", "wants JSON"],
    [{ name: "x", rules: [{ method: "spend" }] }, "rules: 0: method: wants one of connect"],
    [{ name: "x", rules: [{ method: "ping", kind: 1 }] }, "belongs to sign_event alone"],
    [{ name: "x", rules: [{ method: "sign_event", window_seconds: 5 }] }, "wants a use_count beside it"],
    [{ name: "x", rules: [{ method: "sign_event", use_count: 0 }] }, "wants at least 1"],
    [{ name: "x", expires_at: "tomorrow", rules: [] }, "expires_at: wants a time"],
  ])("refuses the policy %j", async (given, words) => {
    expect(await ask("create_new_policy", given)).toMatchObject({ is: "failed", error: expect.stringContaining(words) as string });
    expect(here.store.policies.all()).toEqual([]);
  });

  it("updates a policy in its place", async () => {
    await done("create_new_policy", signing);
    await done("update_policy", 1, { ...signing, name: "smaller", rules: [signing.rules[0]] });
    expect(here.store.policies.get(1)).toMatchObject({ name: "smaller", rules: [{ id: 1, method: "sign_event" }] });
    expect((await ask("update_policy", 9, signing)).is).toBe("failed");
  });

  it("invites a client: ok, and the token in get_key_tokens", async () => {
    await done("create_new_key", "alice", passphrase);
    await done("create_new_policy", signing);
    expect(await done("create_new_token", "alice", "phone", "1", "2")).toEqual(["ok"]);
    const [row] = await done("get_key_tokens", "alice") as { token: string }[];
    const npub = nip19.npubEncode(here.keyring.get("alice")!.publicKey);
    expect(row).toMatchObject({ id: 1, key_name: "alice", client_name: "phone", policy_id: 1, policy_name: "wallet", expires_at: "2026-11-21T02:00:00.000Z", redeemed_at: null, redeemed_by: null, time_until_expiration: 7200 });
    expect(row!.token).toMatch(new RegExp(`^${npub}#[0-9a-f]{64}$`));
    await done("lock", "alice");
    expect(await done("get_key_tokens", "alice")).toEqual([]);
    expect((await ask("create_new_token", "nobody", "phone", "1")).is).toBe("failed");
    expect(await ask("create_new_token", "alice", "phone", "9")).toMatchObject({ error: expect.stringContaining("There is no policy 9") as string });
  });

  it("lists, renames and revokes who redeemed it; a withdrawn token is none", async () => {
    await done("create_new_key", "alice", passphrase);
    await done("create_new_policy", signing);
    await done("create_new_token", "alice", "phone", "1");
    await done("create_new_token", "alice", "tablet", "1");
    const phone = getPublicKey(generateSecretKey());
    here.store.tokens.redeem(1, phone, here.time);
    await done("rename_key_user", nip19.npubEncode(phone), "Ann's phone");
    await done("revoke_user", "1");
    await done("revoke_token", "2");
    expect(await done("get_key_users", "alice")).toEqual([expect.objectContaining({
      id: 1, name: "alice", pubkey: phone, description: "Ann's phone", revokedAt: "2026-11-21T00:00:00.000Z",
      signingConditions: [expect.objectContaining({ method: "sign_event", kind: "1", allowed: true, keyUserId: 1 }), expect.objectContaining({ method: "nip44_decrypt", kind: null })],
    })]);
    expect(await done("get_key_tokens", "alice")).toEqual(expect.arrayContaining([expect.objectContaining({ client_name: "phone", redeemed_by: "Ann's phone", token: nip19.npubEncode(here.keyring.get("alice")!.publicKey) })]));
    expect(here.store.tokens.of("alice").find(({ id }) => id === 2)?.secret).toBeUndefined();
  });

  it("keeps what was locked on purpose locked over a restart, until it is unlocked by name", async () => {
    await done("create_new_key", "alice", passphrase);
    await done("create_new_key", "bob", passphrase);
    expect(await done("lock_all")).toEqual(["ok"]);
    expect(here.keyring.names().map(({ open }) => open)).toEqual(["locked", "locked"]);
    expect([...openHolds(here.folder).names()]).toEqual(["alice", "bob"]);
    await done("unlock_key", "bob", passphrase);
    expect([...openHolds(here.folder).names()]).toEqual(["alice"]);
    expect(JSON.parse(readFileSync(join(here.folder, "held.json"), "utf8"))).toEqual({ format: "holdfast-held/1", keys: ["alice"] });
  });

  it("lets a panic win over an unlocking that is under way", async () => {
    await done("create_new_key", "alice", passphrase);
    await done("lock", "alice");
    let release = (): void => {};
    here.slow = new Promise((resolve) => { release = resolve; });
    const unlocking = ask("unlock_key", "alice", passphrase);
    await done("lock_all");
    release();
    expect(await unlocking).toMatchObject({ result: { success: false, error: expect.stringContaining("locked") as string } });
    expect(here.keyring.get("alice")).toBeUndefined();
    expect([...here.holds.names()]).toEqual(["alice"]);
  });

  it("rotates, exports and deletes", async () => {
    await done("create_new_key", "alice", passphrase);
    const before = here.keyring.get("alice")!.publicKey;
    expect(await done("rotate_key", "alice", passphrase)).not.toEqual({ npub: nip19.npubEncode(before) });
    expect(await done("export_key", "alice", "the export's own")).toEqual({ ncryptsec: "ncryptsec1exported" });
    expect(await done("delete_key", "alice")).toEqual(["ok"]);
    expect(await done("get_keys")).toEqual([]);
    expect((await ask("delete_key", "alice")).is).toBe("failed");
  });

  it("connects a client by its own invitation, and backs up for a recipient alone", async () => {
    await done("create_new_policy", signing);
    const client = getPublicKey(generateSecretKey());
    expect(await done("connect_client", `nostrconnect://${client}?relay=wss%3A%2F%2Fclient.example&secret=canary`, "alice", "1")).toEqual({ pubkey: client, relays: ["wss://client.example"] });
    expect(await done("backup", "age1qq,age1pp")).toEqual({ backup: Buffer.from("sealed for age1qq and age1pp").toString("base64") });
    expect((await ask("backup", "AGE-SECRET-KEY-1QQ")).is).toBe("failed");
  });

  it("answers audit queries, within what is asked", async () => {
    await done("create_new_key", "alice", passphrase);
    await done("create_new_policy", signing);
    expect(await done("query_audit", { key: "alice", limit: 1 })).toHaveLength(1);
    expect(await done("verify_audit")).toEqual({ lines: 3 });
  });

  it("undoes what it did when the audit cannot be written", async () => {
    const failing = { ...here.context, store: { ...here.store, audit: { ...here.store.audit, append: () => { throw new Error("disk full"); } } } };
    expect((await callMethod(failing, "create_new_policy", [signing], admin)).is).toBe("failed");
    expect(here.store.policies.all()).toEqual([]);
  });

  it("keeps passphrases, keys, invitations and secrets out of log and audit, whatever is called", async () => {
    const nsec = nip19.nsecEncode(generateSecretKey());
    const canaries = [passphrase, nsec, "canary-secret"];
    for (const name of methods.keys()) {
      await ask(name, "alice", passphrase, nsec);
      await ask(name, passphrase.slice(0, 0), passphrase);
      await ask(name, `nostrconnect://${admin}?relay=wss%3A%2F%2Fx.example&secret=canary-secret`, "alice", "1");
    }
    const written = (): string => [...here.lines, JSON.stringify(here.store.audit.query({}))].join("\n");
    for (const canary of canaries) expect(written()).not.toContain(canary);
    expect(written()).toContain("create_new_key");
    await ask("create_new_policy", signing);
    await ask("create_new_token", "alice", passphrase, "1");
    expect(written(), "a passphrase given as a client's name is found").toContain(passphrase);
  });
});
