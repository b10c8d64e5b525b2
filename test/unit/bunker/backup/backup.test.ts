import { Decrypter, Encrypter, generateIdentity, identityToRecipient } from "age-encryption";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { beforeAll, describe, expect, it } from "vitest";
import { makeBackup, writeBackup } from "../../../../bunker/backup/make.js";
import { openBackup, restoreBackup } from "../../../../bunker/backup/restore.js";
import { openKeyring } from "../../../../bunker/keyring/open.js";
import { openStore } from "../../../../bunker/store/open.js";
import type { Store } from "../../../../bunker/store/store.js";
import { dataFolder, publicKey } from "../store/folder.js";

const { open, path, clock } = dataFolder();
let identity: string;
let recipient: string;
beforeAll(async () => {
  identity = await generateIdentity();
  recipient = await identityToRecipient(identity);
});

async function lived(): Promise<{ store: Store; secret: string }> {
  const store = open();
  await openKeyring({ store, log: () => undefined, logN: 1 }).create("alice", "passphrase", new Uint8Array(32).fill(7));
  const { id: policyId, rules } = store.policies.add({ name: "notes", rules: [{ method: "sign_event", kind: 1, cap: { uses: 9 } }] });
  const { secret } = store.tokens.add({ keyName: "alice", clientName: "tablet", policyId });
  const client = store.clients.add({ keyName: "alice", publicKey: publicKey("c"), name: "phone", policyId });
  store.record({ action: "sign_event", who: publicKey("c"), outcome: "allowed", keyName: "alice", kind: 1 }, clock.time, { clientId: client.id, ruleId: rules[0]!.id });
  return { store, secret };
}
const backupOf = (store: Store): Promise<Uint8Array> => makeBackup(store, [recipient], clock.time);
const elsewhere = (): string => {
  const folder = join(dirname(path()), "elsewhere");
  mkdirSync(folder, { recursive: true });
  return folder;
};
const now = (): number => clock.time;

describe("a backup", () => {
  it("restores keys and bindings: the same passphrase, client, token and use, and the chain goes on", async () => {
    const { store, secret } = await lived();
    const restored = await restoreBackup(await backupOf(store), identity, elsewhere(), { now });
    expect(restored).toEqual({
      created: new Date(clock.time).toISOString(), keys: [{ name: "alice", publicKey: store.keys.all()[0]!.publicKey }],
      counts: { keys: 1, policies: 1, rules: 1, tokens: 1, clients: 1, usage: 1, auditLines: 1 }, auditHead: store.audit.head(), database: join(elsewhere(), "bunker.db"),
    });
    expect(readdirSync(elsewhere())).toEqual(["bunker.db"]);
    expect(statSync(restored.database).mode & 0o777).toBe(0o600);
    const twin = openStore(restored.database, now);
    expect(await openKeyring({ store: twin, log: () => undefined }).unlock("alice", "passphrase")).toBe("opened");
    expect(twin.clients.all()).toEqual(store.clients.all());
    expect(twin.policies.all()).toEqual(store.policies.all());
    expect(twin.tokens.find("alice", secret, clock.time)).toBeDefined();
    expect(twin.usage.count(1, 1)).toBe(1);
    expect(twin.audit.verify()).toEqual({ lines: 2 });
    expect(twin.audit.query({}).at(-1)).toMatchObject({ action: "restore", who: "operator", previous: store.audit.head().hash });
    twin.close();
  });

  it("is an age file that tells nothing without an identity, and whose first line tells what is in it", async () => {
    const { store, secret } = await lived();
    const backup = Buffer.from(await backupOf(store));
    for (const hidden of ["alice", store.keys.all()[0]!.publicKey!, secret, "SQLite format", "holdfast-bunker-backup"]) expect(backup.includes(hidden), hidden).toBe(false);
    const decrypter = new Decrypter();
    decrypter.addIdentity(identity);
    const plaintext = await decrypter.decrypt(backup, "uint8array");
    const header = JSON.parse(Buffer.from(plaintext.subarray(0, plaintext.indexOf(10))).toString()) as object;
    expect(header).toMatchObject({ format: "holdfast-bunker-backup/1", auditHead: store.audit.head(), counts: { clients: 1 } });
    expect(Buffer.from(plaintext).includes("SQLite format 3")).toBe(true);
    expect(Buffer.from(plaintext).includes("nsec1")).toBe(false);
  });

  it("leaves no copy behind, wants a recipient, and is not made of a broken audit", async () => {
    const { store } = await lived();
    await makeBackup(store, [recipient], clock.time, elsewhere());
    expect(readdirSync(elsewhere())).toEqual([]);
    await expect(makeBackup(store, [], clock.time)).rejects.toThrow("one age recipient at least");
    await expect(makeBackup(store, ["age1nobody"], clock.time)).rejects.toThrow("age1nobody is no age recipient");
    store.close();
    const database = new DatabaseSync(path());
    database.exec("UPDATE audit SET action = 'ping'");
    database.close();
    await expect(backupOf(open())).rejects.toThrow("The bunker's audit is broken: line 1 is not what was written");
  });

  it("opens with an identity file as age-keygen writes it, whichever of its identities it is for", async () => {
    const { store } = await lived();
    const file = `# created: 2026-01-01\n# public key: ${recipient}\n${await generateIdentity()}\n\n${identity}\n`;
    expect((await openBackup(await backupOf(store), file)).header.keys).toHaveLength(1);
  });

  it("is written whole, for its owner alone", async () => {
    const file = join(elsewhere(), "backup.age");
    await writeBackup(file, Uint8Array.of(1));
    await writeBackup(file, Uint8Array.of(1, 2, 3));
    expect([...readFileSync(file)]).toEqual([1, 2, 3]);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(readdirSync(elsewhere())).toEqual(["backup.age"]);
    await expect(writeBackup(join(elsewhere(), "none", "backup.age"), Uint8Array.of(1))).rejects.toThrow("ENOENT");
  });
});

describe("a restore", () => {
  it("refuses a store that holds something, and leaves it as it is", async () => {
    const { store } = await lived();
    const backup = await backupOf(store);
    store.close();
    const before = readFileSync(path());
    await expect(restoreBackup(backup, identity, dirname(path()), { now })).rejects.toThrow(/holds 1 keys, 1 clients and 1 lines of audit, and a restore replaces none of that unasked/);
    expect(readFileSync(path()).equals(before)).toBe(true);
    expect(readdirSync(dirname(path()))).toEqual(["bunker.db"]);
  });

  it("refuses while a bunker has the store open", async () => {
    const { store } = await lived();
    await expect(restoreBackup(await backupOf(store), identity, dirname(path()), { over: "any", now })).rejects.toThrow("is open in another process");
  });

  it("replaces an empty store, and one from which the backup was made later, which stays beside it", async () => {
    const { store } = await lived();
    openStore(join(elsewhere(), "bunker.db"), now).close();
    await restoreBackup(await backupOf(store), identity, elsewhere(), { now });
    const early = store.keys.all();
    store.copyTo(join(elsewhere(), "copy"));
    store.audit.append({ action: "lock", who: "operator", outcome: "allowed" }, clock.time);
    const later = await backupOf(store);
    store.close();
    mkdirSync(join(elsewhere(), "older"));
    writeFileSync(join(elsewhere(), "older", "bunker.db"), readFileSync(join(elsewhere(), "copy")));
    const { before } = await restoreBackup(later, identity, join(elsewhere(), "older"), { over: "older", now });
    const kept = openStore(before!, now);
    expect(kept.keys.all()).toEqual(early);
    expect(kept.audit.verify()).toEqual({ lines: 1 });
    kept.close();
    const placed = openStore(join(elsewhere(), "older", "bunker.db"), now);
    expect(placed.audit.verify()).toEqual({ lines: 3 });
    placed.close();
  });

  it("refuses a backup that ends before the store's own audit does, until any may be replaced", async () => {
    const { store } = await lived();
    const backup = await backupOf(store);
    store.audit.append({ action: "revoke_user", who: "operator", outcome: "allowed" }, clock.time);
    store.close();
    await expect(restoreBackup(backup, identity, dirname(path()), { over: "older", now })).rejects.toThrow("its last line is not in the backup: what is here is newer than the backup");
    const { before } = await restoreBackup(backup, identity, dirname(path()), { over: "any", now });
    expect(existsSync(before!)).toBe(true);
    expect(open().audit.query({}).map(({ action }) => action)).toEqual(["sign_event", "restore"]);
  });

  it("refuses a backup that is damaged, for somebody else, or not what it says", async () => {
    const { store } = await lived();
    const backup = await backupOf(store);
    const damaged = Uint8Array.from(backup);
    damaged[damaged.length - 40]! ^= 1;
    await expect(restoreBackup(damaged, identity, elsewhere(), { now })).rejects.toThrow("for another identity, or damaged");
    await expect(restoreBackup(backup.subarray(0, backup.length - 5000), identity, elsewhere(), { now })).rejects.toThrow("for another identity, or damaged");
    await expect(restoreBackup(backup, await generateIdentity(), elsewhere(), { now })).rejects.toThrow("for another identity, or damaged");
    const error = await restoreBackup(backup, `${identity}X`, elsewhere(), { now }).catch((thrown: Error) => thrown);
    expect(String(error)).toContain("This is no age identity");
    expect(String(error)).not.toContain(identity);
    const { header, database } = await openBackup(backup, identity);
    const forged = async (change: object): Promise<Uint8Array> => {
      const encrypter = new Encrypter();
      encrypter.addRecipient(recipient);
      return encrypter.encrypt(Buffer.concat([Buffer.from(`${JSON.stringify({ ...header, ...change })}\n`), database]));
    };
    await expect(restoreBackup(await forged({ counts: { ...header.counts, clients: 2 } }), identity, elsewhere(), { now })).rejects.toThrow("does not hold what it says under counts");
    await expect(restoreBackup(await forged({ auditHead: { sequence: 1, hash: "0".repeat(64) } }), identity, elsewhere(), { now })).rejects.toThrow("does not hold what it says under auditHead");
    await expect(restoreBackup(await forged({ database: { ...header.database, bytes: 1 } }), identity, elsewhere(), { now })).rejects.toThrow("is not whole");
    await expect(restoreBackup(await forged({ database: { ...header.database, sha256: "0".repeat(64) } }), identity, elsewhere(), { now })).rejects.toThrow("is not whole");
    await expect(restoreBackup(await forged({ format: "holdfast-bunker-backup/2" }), identity, elsewhere(), { now })).rejects.toThrow("the bunker's backup: at format");
    expect(readdirSync(elsewhere())).toEqual([]);
  });

  it("refuses a journal without its database", async () => {
    const { store } = await lived();
    writeFileSync(join(elsewhere(), "bunker.db-wal"), "x");
    await expect(restoreBackup(await backupOf(store), identity, elsewhere(), { now })).rejects.toThrow("bunker.db-wal is there without its database");
  });
});
