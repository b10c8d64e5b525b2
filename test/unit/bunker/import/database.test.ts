import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { importDatabase, publicKeysIn } from "../../../../bunker/import/database.js";
import { readPredecessor } from "../../../../bunker/import/predecessor.js";
import type { Rule } from "../../../../bunker/model.js";
import type { Store } from "../../../../bunker/store/store.js";
import { dataFolder, publicKey } from "../store/folder.js";
import { writeOldDatabase } from "./oldDatabase.js";

const { open, path, clock } = dataFolder();
const [phone, desk, rejected, nobody] = ["1", "2", "3", "4"].map(publicKey);
const MARCH = Date.parse("2024-03-01T12:00:00Z");

const rows = `
  INSERT INTO Key (keyName, pubkey, deletedAt) VALUES ('alice', '${publicKey("a")}', NULL), ('gone', '${publicKey("b")}', 5);
  INSERT INTO KeyUser (id, keyName, userPubkey, createdAt, lastUsedAt, description, revokedAt) VALUES
    (1, 'alice', '${phone}', ${MARCH}, ${MARCH + 5}, 'phone', NULL),
    (2, 'alice', '${desk}', '2024-03-01 12:00:00', NULL, NULL, ${MARCH + 9}),
    (3, 'alice', '${rejected}', ${MARCH}, NULL, 'rejected', NULL),
    (4, 'alice', '${nobody}', ${MARCH}, NULL, 'never decided', NULL),
    (5, 'elsewhere', '${phone}', ${MARCH}, NULL, 'phone', NULL);
  INSERT INTO SigningCondition (keyUserId, method, kind, allowed) VALUES
    (1, 'connect', NULL, 1), (1, 'sign_event', '1', 1), (1, 'sign_event', '1', 1), (1, 'encrypt', NULL, 1), (1, 'decrypt', NULL, 0), (1, 'decrypt', NULL, 1), (1, 'sign_event', NULL, 1),
    (1, '*', NULL, 1), (2, 'sign_event', 'all', 1), (3, 'connect', NULL, 1), (3, NULL, NULL, 0), (4, 'connect', NULL, NULL);
  INSERT INTO Policy (id, name, createdAt, expiresAt, deletedAt) VALUES (1, 'notes', ${MARCH}, NULL, NULL), (2, 'brief', ${MARCH}, ${MARCH + 1000}, NULL), (3, 'deleted', ${MARCH}, NULL, ${MARCH});
  INSERT INTO PolicyRule (policyId, method, kind, maxUsageCount, currentUsageCount) VALUES
    (1, 'sign_event', '1', 10, 0), (1, 'sign_event', 'all', NULL, 0), (1, 'nip44_decrypt', NULL, NULL, 0), (1, 'create_account', NULL, NULL, 0), (2, 'ping', NULL, NULL, 0);
  INSERT INTO Token (id, keyName, token, clientName, createdBy, createdAt, updatedAt, deletedAt, expiresAt, redeemedAt, keyUserId, policyId) VALUES
    (1, 'alice', '${"e".repeat(64)}', 'tablet', 'x', ${MARCH}, ${MARCH}, NULL, ${MARCH + 7000}, NULL, NULL, 1),
    (2, 'alice', '${"f".repeat(64)}', 'phone', 'x', ${MARCH}, ${MARCH}, NULL, NULL, ${MARCH + 3}, 1, 2),
    (3, 'alice', '${"9".repeat(64)}', 'x', 'x', ${MARCH}, ${MARCH}, ${MARCH}, NULL, NULL, NULL, 1),
    (4, 'alice', '${"8".repeat(64)}', 'y', 'x', ${MARCH}, ${MARCH}, NULL, NULL, NULL, NULL, 3),
    (5, 'elsewhere', '${"7".repeat(64)}', 'z', 'x', ${MARCH}, ${MARCH}, NULL, NULL, NULL, NULL, 1);
`;

function start(more = ""): { store: Store; run: () => ReturnType<typeof importDatabase>; old: string } {
  const old = `${path()}.old`;
  writeOldDatabase(old, rows + more);
  const store = open();
  store.keys.add("alice", { at: "legacy", iv: "00", data: "00" }, undefined);
  return { store, old, run: () => importDatabase(readPredecessor(old), store, clock.time) };
}
const rulesOf = (store: Store, policyId: number | undefined): Omit<Rule, "id">[] => store.policies.get(policyId!)!.rules.map(({ id: _, ...rule }) => rule);

describe("clients of nsecbunkerd's database", () => {
  it("come with their times and a policy of their own that allows what they were allowed", () => {
    const { store, run } = start();
    run();
    const client = store.clients.find("alice", phone!)!;
    expect(client).toMatchObject({ name: "phone", createdAt: MARCH, lastUsedAt: MARCH + 5 });
    expect(client).not.toHaveProperty("revokedAt");
    expect(store.policies.get(client.policyId!)!.name).toBe("phone of alice");
    expect(rulesOf(store, client.policyId)).toEqual([{ method: "connect" }, { method: "get_public_key" }, { method: "sign_event", kind: 1 }, { method: "nip04_encrypt" }]);
    expect(rulesOf(store, store.clients.find("alice", desk!)!.policyId)).toContainEqual({ method: "sign_event" });
  });

  it("that were revoked or refused everything stay so, and who was allowed nothing is allowed nothing", () => {
    const { store, run } = start();
    run();
    expect(store.clients.find("alice", desk!)).toMatchObject({ name: "client 22222222", createdAt: MARCH, revokedAt: MARCH + 9 });
    expect(store.clients.find("alice", rejected!)).toMatchObject({ revokedAt: clock.time });
    expect(store.clients.find("alice", nobody!)).not.toHaveProperty("policyId");
  });

  it("are named in the report with whatever was left out, and why", () => {
    const { run } = start();
    const { brought, leftOut, warnings } = run();
    expect(brought).toContain(`client ${desk} of alice, revoked`);
    expect(leftOut.map(({ what, why }) => `${what}: ${why}`)).toEqual(expect.arrayContaining([
      `client ${phone} of elsewhere: there is no key named elsewhere here`,
      "a rule of policy phone of alice: nip04_decrypt: it was allowed and, in whole or in part, refused too",
      "a rule of policy phone of alice: sign_event: it names no kind, and allowed none",
      "a rule of policy phone of alice: *: no client can ask for that",
      "policy deleted: it was deleted",
      "token 3 for x of alice: it was deleted",
      "token 4 for y of alice: its policy was deleted or cannot be read: it could not be redeemed",
      "token 5 for z of elsewhere: there is no key named elsewhere here",
    ]));
    expect(warnings).toEqual([expect.stringContaining(`The client ${phone} of alice came by a policy that expires or caps`), expect.stringContaining("The token 1 for tablet of alice can still be redeemed")]);
    expect(JSON.stringify([brought, leftOut, warnings])).not.toMatch(/e{64}|f{64}/);
  });
});

describe("tokens and policies of nsecbunkerd's database", () => {
  it("come with their secret while they can be redeemed, and stay redeemed", () => {
    const { store, run } = start();
    run();
    const token = store.tokens.find("alice", "e".repeat(64), MARCH)!;
    expect(token).toMatchObject({ clientName: "tablet", expiresAt: MARCH + 7000, createdAt: MARCH });
    expect(rulesOf(store, token.policyId)).toEqual([{ method: "connect" }, { method: "get_public_key" }, { method: "sign_event", kind: 1, cap: { uses: 10 } }, { method: "sign_event" }, { method: "nip44_decrypt" }]);
    const redeemed = store.tokens.of("alice").find(({ clientName }) => clientName === "phone")!;
    expect(redeemed).toMatchObject({ redeemedAt: MARCH + 3, redeemedBy: phone });
    expect(redeemed).not.toHaveProperty("secret");
    expect(store.policies.get(redeemed.policyId)).toMatchObject({ name: "brief", expiresAt: MARCH + 1000 });
    expect(store.tokens.of("alice")).toHaveLength(2);
  });

  it("come once: a token that was redeemed here meanwhile does not come back, nor a client that was revoked", () => {
    const { store, run } = start();
    run();
    const before = store.counts();
    store.tokens.redeem(store.tokens.find("alice", "e".repeat(64), MARCH)!.id, publicKey("5"), MARCH);
    store.clients.revoke(store.clients.find("alice", phone!)!.id, 1);
    const { brought, already } = run();
    expect([brought, already]).toEqual([[], 8]);
    expect(store.tokens.find("alice", "e".repeat(64), MARCH)).toBeUndefined();
    expect(store.clients.find("alice", phone!)).toMatchObject({ revokedAt: 1 });
    expect(store.counts()).toEqual({ ...before, clients: before.clients + 1 });
  });

  it("of a key that comes later come then", () => {
    const { store, run } = start();
    run();
    store.keys.add("elsewhere", { at: "legacy", iv: "00", data: "01" }, undefined);
    expect(run().brought).toEqual([`client ${phone} of elsewhere, allowed nothing`, "token 5 for z of elsewhere"]);
  });
});

describe("nsecbunkerd's database", () => {
  it("is left as it is, byte for byte", () => {
    const { run, old } = start();
    const before = readFileSync(old);
    run();
    expect(readFileSync(old).equals(before)).toBe(true);
  });

  it("knows public keys of keys that were not deleted", () => {
    expect(publicKeysIn(readPredecessor(start().old))).toEqual(new Map([["alice", publicKey("a")]]));
  });

  it("with a row that cannot be read brings the others, and names it", () => {
    const { run, store } = start(`INSERT INTO KeyUser (id, keyName, userPubkey, revokedAt) VALUES (9, 'alice', '${publicKey("6")}', 'yesterday')`);
    expect(run().leftOut).toContainEqual({ what: "KeyUser 9", why: "it cannot be read: revokedAt: is no time", level: "error" });
    expect(store.clients.find("alice", publicKey("6"))).toBeUndefined();
  });

  it("of an earlier version, without the tables that came later, is read", () => {
    const { old, store } = start("DROP TABLE Key; DROP TABLE Token; ALTER TABLE KeyUser DROP COLUMN revokedAt");
    importDatabase(readPredecessor(old), store, clock.time);
    expect(store.clients.of("alice")).toHaveLength(4);
  });

  it("that is none is refused", () => {
    const store = open();
    store.copyTo(`${path()}.other`);
    expect(() => readPredecessor(`${path()}.other`)).toThrow("is not nsecbunkerd's database");
    expect(() => readPredecessor("/nonexistent")).toThrow("There is no database at /nonexistent");
  });
});
