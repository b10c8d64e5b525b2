import type { DatabaseSync } from "node:sqlite";
import type { Key, PublicKey } from "../model.js";
import { fromRow, isTaken, requireChange } from "./rows.js";
import type { Rest, Store } from "./store.js";
import type { Transactions } from "./transaction.js";

export function keysIn(database: DatabaseSync, { atomically }: Transactions, now: () => number): Store["keys"] {
  const all = database.prepare("SELECT name, public_key AS publicKey, at, created_at AS createdAt FROM keys ORDER BY created_at, name");
  const rest = database.prepare("SELECT at, text, iv, data FROM keys WHERE name = ?");
  const insert = database.prepare("INSERT INTO keys (name, public_key, at, text, iv, data, created_at) VALUES (?, ?, ?, ?, ?, ?, ?)");
  const update = database.prepare("UPDATE keys SET public_key = ?, at = ?, text = ?, iv = ?, data = ? WHERE name = ?");
  const remove = database.prepare("DELETE FROM keys WHERE name = ?");
  const revokeClients = database.prepare("UPDATE clients SET revoked_at = ? WHERE key_name = ? AND revoked_at IS NULL");
  const withdrawTokens = database.prepare("UPDATE tokens SET secret = NULL, updated_at = ? WHERE key_name = ? AND secret IS NOT NULL");
  const holder = database.prepare("SELECT name FROM keys WHERE public_key = ?");

  const columns = (value: Rest): [string, string | null, string | null, string | null] =>
    value.at === "ncryptsec" ? [value.at, value.text, null, null] : [value.at, null, value.iv, value.data];

  const inWords = <T>(name: string, publicKey: PublicKey | undefined, change: () => T): T => {
    try {
      return change();
    } catch (error) {
      if (!isTaken(error)) throw error;
      const other = publicKey === undefined ? undefined : (holder.get(publicKey) as { name: string } | undefined);
      throw new Error(other === undefined || other.name === name
        ? `There is a key named ${name} already. Choose another name, or delete that key first.`
        : `The key ${name} is the key ${other.name} by another name (${publicKey}): one name is enough.`, { cause: error });
    }
  };

  const replace: Store["keys"]["replace"] = (name, value, publicKey) =>
    requireChange(inWords(name, publicKey, () => update.run(publicKey, ...columns(value), name)), `key named ${name}`);

  return {
    all: () => all.all().map((row) => fromRow<Key>(row)),
    rest: (name) => {
      const row = rest.get(name);
      return row && fromRow<Rest>(row);
    },
    add: (name, value, publicKey) => {
      inWords(name, publicKey, () => insert.run(name, publicKey ?? null, ...columns(value), now()));
    },
    replace,
    succeed: (name, value, publicKey) => atomically(() => {
      replace(name, value, publicKey);
      revokeClients.run(now(), name);
      withdrawTokens.run(now(), name);
    }),
    remove: (name) => requireChange(remove.run(name), `key named ${name}`),
  };
}
