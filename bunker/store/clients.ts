import type { DatabaseSync } from "node:sqlite";
import type { Client, PublicKey, Time } from "../model.js";
import { fromRow, isTaken, requireChange } from "./rows.js";
import type { Store } from "./store.js";

export interface Clients {
  readonly asked: Store["clients"];
  /** Makes the client of a token, or gives the one that is there what the token gives. */
  admit(client: { readonly keyName: string; readonly publicKey: PublicKey; readonly name: string; readonly policyId: number; readonly expiresAt?: Time }): Client;
  used(id: number, now: Time): void;
  /** With what it had where it comes from. */
  bring(client: Omit<Client, "id">): Client;
}

export function clientsIn(database: DatabaseSync, now: () => number): Clients {
  const columns = `id, key_name AS keyName, public_key AS publicKey, name, policy_id AS policyId, created_at AS createdAt, expires_at AS expiresAt,
    last_used_at AS lastUsedAt, revoked_at AS revokedAt`;
  const all = database.prepare(`SELECT ${columns} FROM clients ORDER BY id`);
  const ofKey = database.prepare(`SELECT ${columns} FROM clients WHERE key_name = ? ORDER BY id`);
  const one = database.prepare(`SELECT ${columns} FROM clients WHERE key_name = ? AND public_key = ?`);
  const insert = database.prepare(`INSERT INTO clients (key_name, public_key, name, policy_id, created_at, expires_at, last_used_at, revoked_at)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?)`);
  const admit = database.prepare(`INSERT INTO clients (key_name, public_key, name, policy_id, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT (key_name, public_key) DO UPDATE SET policy_id = excluded.policy_id, expires_at = excluded.expires_at, revoked_at = NULL`);
  const rename = database.prepare("UPDATE clients SET name = ? WHERE public_key = ?");
  const revoke = database.prepare("UPDATE clients SET revoked_at = coalesce(revoked_at, ?) WHERE id = ?");
  const used = database.prepare("UPDATE clients SET last_used_at = ? WHERE id = ?");

  const find = (keyName: string, publicKey: PublicKey): Client | undefined => {
    const row = one.get(keyName, publicKey);
    return row && fromRow<Client>(row);
  };
  const bring: Clients["bring"] = (client) => {
    try {
      insert.run(client.keyName, client.publicKey, client.name, client.policyId ?? null, client.createdAt, client.expiresAt ?? null,
        client.lastUsedAt ?? null, client.revokedAt ?? null);
      return find(client.keyName, client.publicKey)!;
    } catch (error) {
      if (!isTaken(error)) throw error;
      throw new Error(`${client.publicKey} is a client of the key ${client.keyName} already.`, { cause: error });
    }
  };

  return {
    asked: {
      of: (keyName) => ofKey.all(keyName).map((row) => fromRow<Client>(row)),
      all: () => all.all().map((row) => fromRow<Client>(row)),
      find,
      add: (client) => bring({ ...client, createdAt: now() }),
      rename: (publicKey, name) => requireChange(rename.run(name, publicKey), `client ${publicKey}`),
      revoke: (id, time) => requireChange(revoke.run(time, id), `client ${id}`),
    },
    admit: ({ keyName, publicKey, name, policyId, expiresAt }) => {
      admit.run(keyName, publicKey, name, policyId, now(), expiresAt ?? null);
      return find(keyName, publicKey)!;
    },
    used: (id, time) => requireChange(used.run(time, id), `client ${id}`),
    bring,
  };
}
