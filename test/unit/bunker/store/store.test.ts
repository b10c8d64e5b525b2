import { spawnSync } from "node:child_process";
import { chmodSync, readdirSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, it } from "vitest";
import type { Deed } from "../../../../bunker/model.js";
import { openStore } from "../../../../bunker/store/open.js";
import type { Rest } from "../../../../bunker/store/store.js";
import { dataFolder, publicKey } from "./folder.js";

const { open, path, clock } = dataFolder();
const sealed: Rest = { at: "ncryptsec", text: "ncryptsec1…" };
const deed: Deed = { action: "sign_event", who: publicKey("c"), outcome: "allowed" };
const HOUR = 3_600_000;

describe("the database file", () => {
  it("is readable for its owner alone, and is made so when it was not", () => {
    open().close();
    expect(statSync(path()).mode & 0o777).toBe(0o600);
    chmodSync(path(), 0o644);
    open();
    expect(statSync(path()).mode & 0o777).toBe(0o600);
    for (const file of readdirSync(dirname(path()))) expect(statSync(`${dirname(path())}/${file}`).mode & 0o077, file).toBe(0);
  });

  it("is refused to a second process while the first one lives, and given to it afterwards", () => {
    const store = open();
    const program = `const {DatabaseSync}=require("node:sqlite"); const d=new DatabaseSync(${JSON.stringify(path())}); d.prepare("SELECT * FROM keys").all()`;
    const other = (): { status: number | null; stderr: string } => spawnSync(process.execPath, ["--no-warnings", "-e", program], { encoding: "utf8", timeout: 20_000 });
    expect(other().stderr).toContain("database is locked");
    expect(() => openStore(path(), () => 0)).toThrow(/is open in another process: one bunker at a time has a data folder/);
    expect(other().stderr).toContain("database is locked");
    store.close();
    expect(other()).toMatchObject({ status: 0 });
  });

  it("of a newer bunker is refused, with both versions", () => {
    open().close();
    const database = new DatabaseSync(path());
    database.exec("PRAGMA user_version = 99");
    database.close();
    expect(open).toThrow(/has version 99 of the bunker's database, and this bunker knows 1 at most/);
  });

  it("of something else is refused, and so is what is no database", () => {
    const database = new DatabaseSync(path());
    database.exec("CREATE TABLE KeyUser (id INTEGER)");
    database.close();
    expect(open).toThrow(/is a database of something else/);
  });

  it("in a folder that is not there is refused, with its path", () => {
    expect(() => openStore("/nonexistent/bunker.db", () => 0)).toThrow(/\/nonexistent\/bunker\.db cannot be opened or made/);
  });
});

describe("keys", () => {
  it("are never overwritten, neither by name nor by public key", () => {
    const { keys } = open();
    keys.add("alice", sealed, publicKey("a"));
    expect(() => keys.add("alice", sealed, publicKey("b"))).toThrow("There is a key named alice already");
    expect(() => keys.add("bob", sealed, publicKey("a"))).toThrow("The key bob is the key alice by another name");
    expect(keys.all()).toEqual([{ name: "alice", publicKey: publicKey("a"), at: "ncryptsec", createdAt: clock.time }]);
  });

  it("rest as they were given, imported ones too", () => {
    const { keys } = open();
    keys.add("old", { at: "legacy", iv: "00", data: "11" }, undefined);
    expect(keys.all()[0]).toEqual({ name: "old", at: "legacy", createdAt: clock.time });
    expect(keys.rest("old")).toEqual({ at: "legacy", iv: "00", data: "11" });
    keys.replace("old", sealed, publicKey("a"));
    expect(keys.rest("old")).toEqual(sealed);
    expect(keys.rest("none")).toBeUndefined();
    expect(() => keys.replace("none", sealed, publicKey("b"))).toThrow("There is no key named none");
  });

  it("take their clients and tokens with them, and leave the others'", () => {
    const { keys, policies, tokens, clients } = open();
    const { id: policyId } = policies.add({ name: "p", rules: [] });
    for (const [name, digit] of [["a", "a"], ["b", "b"]] as const) {
      keys.add(name, sealed, publicKey(digit));
      tokens.add({ keyName: name, clientName: "phone", policyId });
      clients.add({ keyName: name, publicKey: publicKey("c"), name: "desk" });
    }
    keys.remove("a");
    expect([tokens.of("a"), clients.of("a")]).toEqual([[], []]);
    expect([tokens.of("b").length, clients.all().length]).toEqual([1, 1]);
  });
});

describe("policies", () => {
  it("keep what was used of the rules that stay the same, in any order", () => {
    const store = open();
    store.keys.add("k", sealed, publicKey("a"));
    const policy = store.policies.add({ name: "p", rules: [
      { method: "sign_event", kind: 1, cap: { uses: 5, windowSeconds: 60 } }, { method: "sign_event", kind: 1, cap: { uses: 50 } }, { method: "ping" }] });
    const client = store.clients.add({ keyName: "k", publicKey: publicKey("c"), name: "c", policyId: policy.id });
    const [short, long, ping] = policy.rules.map(({ id }) => id);
    store.record(deed, clock.time, { clientId: client.id, ruleId: short! });
    store.record(deed, clock.time, { clientId: client.id, ruleId: ping! });
    const after = store.policies.update(policy.id, { name: "q", expiresAt: 9, rules: [
      { method: "sign_event", kind: 1, cap: { uses: 70 } }, { method: "sign_event", kind: 1, cap: { uses: 5, windowSeconds: 60 } }, { method: "connect" }] });
    expect(after).toMatchObject({ id: policy.id, name: "q", expiresAt: 9 });
    expect(after.rules.map(({ id }) => id).slice(0, 2)).toEqual([long, short]);
    expect(after.rules[0]!.cap).toEqual({ uses: 70 });
    expect(store.usage.count(short!, client.id)).toBe(1);
    expect(store.usage.count(ping!, client.id)).toBe(0);
    expect(store.policies.get(policy.id)).toEqual(after);
  });
});

describe("tokens", () => {
  it("are redeemed once, make their client, and their secret is gone", () => {
    const { keys, policies, tokens, clients } = open();
    keys.add("k", sealed, publicKey("a"));
    const { id: policyId } = policies.add({ name: "p", rules: [] });
    const token = tokens.add({ keyName: "k", clientName: "phone", policyId, expiresAt: clock.time + HOUR });
    expect(token.secret).toMatch(/^[0-9a-f]{64}$/);
    expect(tokens.find("k", token.secret, clock.time)?.id).toBe(token.id);
    expect(tokens.find("other", token.secret, clock.time)).toBeUndefined();
    expect(tokens.find("k", token.secret.replace(/^./, (digit) => (digit === "0" ? "1" : "0")), clock.time)).toBeUndefined();
    const client = tokens.redeem(token.id, publicKey("c"), clock.time + 1);
    expect(client).toMatchObject({ keyName: "k", publicKey: publicKey("c"), name: "phone", policyId, expiresAt: clock.time + HOUR });
    expect(tokens.find("k", token.secret, clock.time)).toBeUndefined();
    expect(tokens.of("k")[0]).toMatchObject({ redeemedBy: publicKey("c"), redeemedAt: clock.time + 1 });
    expect(tokens.of("k")[0]).not.toHaveProperty("secret");
    expect(() => tokens.redeem(token.id, publicKey("d"), clock.time)).toThrow(`Token ${token.id} was redeemed already`);
    expect(clients.all()).toHaveLength(1);
  });

  it("that expired or were withdrawn are not found and not redeemed", () => {
    const { keys, policies, tokens } = open();
    keys.add("k", sealed, publicKey("a"));
    const { id: policyId } = policies.add({ name: "p", rules: [] });
    const short = tokens.add({ keyName: "k", clientName: "phone", policyId, expiresAt: clock.time + 1 });
    expect(tokens.find("k", short.secret, clock.time + 1)).toBeUndefined();
    expect(() => tokens.redeem(short.id, publicKey("c"), clock.time + 1)).toThrow(/expired at 2023-/);
    const withdrawn = tokens.add({ keyName: "k", clientName: "phone", policyId });
    tokens.withdraw(withdrawn.id);
    tokens.withdraw(withdrawn.id);
    expect(tokens.find("k", withdrawn.secret, clock.time)).toBeUndefined();
    expect(() => tokens.redeem(withdrawn.id, publicKey("c"), clock.time)).toThrow("was withdrawn already");
    expect(() => tokens.withdraw(77)).toThrow("There is no token 77");
  });

  it("give a client that was revoked its rights again, under the name that it has", () => {
    const { keys, policies, tokens, clients } = open();
    keys.add("k", sealed, publicKey("a"));
    const [one, two] = [policies.add({ name: "1", rules: [] }), policies.add({ name: "2", rules: [] })];
    const client = clients.add({ keyName: "k", publicKey: publicKey("c"), name: "first", policyId: one.id, expiresAt: clock.time });
    clients.revoke(client.id, clock.time);
    const { id } = tokens.add({ keyName: "k", clientName: "phone", policyId: two.id });
    expect(tokens.redeem(id, publicKey("c"), clock.time)).toEqual({ id: client.id, keyName: "k", publicKey: publicKey("c"), name: "first", policyId: two.id, createdAt: clock.time });
  });
});

describe("clients", () => {
  it("are one for each key and public key, and what is not there cannot be changed", () => {
    const { keys, clients } = open();
    keys.add("k", sealed, publicKey("a"));
    const client = clients.add({ keyName: "k", publicKey: publicKey("c"), name: "c" });
    expect(() => clients.add({ keyName: "k", publicKey: publicKey("c"), name: "d" })).toThrow("is a client of the key k already");
    clients.rename(publicKey("c"), "renamed");
    clients.revoke(client.id, 5);
    clients.revoke(client.id, 6);
    expect(clients.find("k", publicKey("c"))).toMatchObject({ name: "renamed", revokedAt: 5 });
    expect(() => clients.rename(publicKey("d"), "x")).toThrow("There is no client");
    expect(() => clients.revoke(99, 0)).toThrow("There is no client 99");
    expect(() => clients.add({ keyName: "none", publicKey: publicKey("c"), name: "d" })).toThrow();
  });
});

describe("a recorded deed", () => {
  it("is a use, the client's last use and a line of the audit: all, or none", () => {
    const store = open();
    store.keys.add("k", sealed, publicKey("a"));
    const policy = store.policies.add({ name: "p", rules: [{ method: "ping", cap: { uses: 1 } }] });
    const client = store.clients.add({ keyName: "k", publicKey: publicKey("c"), name: "c", policyId: policy.id });
    const line = store.record(deed, clock.time, { clientId: client.id, ruleId: policy.rules[0]!.id });
    expect(line).toMatchObject({ ...deed, sequence: 1, time: clock.time });
    expect(() => store.record(deed, clock.time + 1, { clientId: client.id, ruleId: 999 })).toThrow();
    expect(store.clients.find("k", publicKey("c"))!.lastUsedAt).toBe(clock.time);
    expect(store.audit.head().sequence).toBe(1);
    expect(store.usage.count(policy.rules[0]!.id, client.id)).toBe(1);
    expect(store.usage.count(policy.rules[0]!.id, client.id, clock.time + 1)).toBe(0);
  });

  it("prunes uses that no cap can see any more, and never those of a cap for ever", () => {
    const store = open();
    store.keys.add("k", sealed, publicKey("a"));
    const { id: policyId, rules } = store.policies.add({ name: "p", rules: [
      { method: "sign_event", cap: { uses: 9 } }, { method: "ping", cap: { uses: 9, windowSeconds: 3600 } }, { method: "connect" }] });
    const client = store.clients.add({ keyName: "k", publicKey: publicKey("c"), name: "c", policyId });
    for (const { id } of rules) store.record(deed, clock.time, { clientId: client.id, ruleId: id });
    const counts = (): number[] => rules.map(({ id }) => store.usage.count(id, client.id));
    store.record(deed, clock.time + HOUR);
    expect(counts()).toEqual([1, 1, 1]);
    store.record(deed, clock.time + 2 * HOUR);
    expect(counts()).toEqual([1, 0, 1]);
    store.record(deed, clock.time + 26 * HOUR);
    expect(counts()).toEqual([1, 0, 0]);
  });
});

describe("a change", () => {
  it("is undone whole when it throws, and an inner one alone when it is caught", () => {
    const store = open();
    const add = (name: string, digit: string): void => store.keys.add(name, sealed, publicKey(digit));
    expect(() => store.atomically(() => {
      add("a", "a");
      throw new Error("no");
    })).toThrow("no");
    store.atomically(() => {
      add("b", "b");
      expect(() => store.atomically(() => {
        add("c", "c");
        add("b", "d");
      })).toThrow("There is a key named b already");
    });
    expect(store.keys.all().map(({ name }) => name)).toEqual(["b"]);
  });

  it("that waits for something is refused and undone", () => {
    const store = open();
    expect(() => store.atomically(async () => store.keys.add("a", sealed, publicKey("a")))).toThrow(/must not wait/);
    expect(store.keys.all()).toEqual([]);
  });
});

it("remembers an event's id, until it is told to forget", () => {
  const store = open();
  expect([store.replays.remember("e", 10), store.replays.remember("e", 10)]).toEqual(["new", "seen"]);
  store.replays.forget(10);
  expect(store.replays.remember("e", 10)).toBe("seen");
  store.replays.forget(11);
  expect(store.replays.remember("e", 10)).toBe("new");
});

it("copies itself while it is in use, for its owner's eyes, and never over something", () => {
  const store = open();
  store.keys.add("k", sealed, publicKey("a"));
  const copy = `${path()}.copy`;
  store.copyTo(copy);
  expect(statSync(copy).mode & 0o777).toBe(0o600);
  expect(() => store.copyTo(copy)).toThrow(/EEXIST/);
  const copied = openStore(copy, () => 0);
  expect(copied.keys.all()).toEqual(store.keys.all());
  copied.close();
});
