import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import type { DatabaseSync } from "node:sqlite";
import type { Time, Token } from "../model.js";
import type { Clients } from "./clients.js";
import { fromRow, requireChange } from "./rows.js";
import type { Store } from "./store.js";
import type { Transactions } from "./transaction.js";

const SECRET_BYTES = 32;

export interface Tokens {
  readonly asked: Store["tokens"];
  /** With what it had where it comes from. */
  bring(token: Omit<Token, "id">): Token;
}

export function tokensIn(database: DatabaseSync, { atomically }: Transactions, clients: Clients, now: () => number): Tokens {
  const columns = `id, key_name AS keyName, client_name AS clientName, policy_id AS policyId, created_at AS createdAt, updated_at AS updatedAt,
    expires_at AS expiresAt, secret, redeemed_at AS redeemedAt, redeemed_by AS redeemedBy`;
  const ofKey = database.prepare(`SELECT ${columns} FROM tokens WHERE key_name = ? ORDER BY id`);
  const open = database.prepare(`SELECT ${columns} FROM tokens WHERE key_name = ? AND secret IS NOT NULL`);
  const one = database.prepare(`SELECT ${columns} FROM tokens WHERE id = ?`);
  const insert = database.prepare(`INSERT INTO tokens (key_name, client_name, policy_id, created_at, updated_at, expires_at, secret, redeemed_at, redeemed_by)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`);
  const withdraw = database.prepare("UPDATE tokens SET secret = NULL, updated_at = ? WHERE id = ? AND secret IS NOT NULL");
  const redeem = database.prepare("UPDATE tokens SET secret = NULL, updated_at = ?, redeemed_at = ?, redeemed_by = ? WHERE id = ?");

  const get = (id: number): Token => {
    const row = one.get(id);
    if (row === undefined) throw new Error(`There is no token ${id}.`);
    return fromRow<Token>(row);
  };
  const bring: Tokens["bring"] = (token) => get(Number(insert.run(token.keyName, token.clientName, token.policyId, token.createdAt, token.updatedAt,
    token.expiresAt ?? null, token.secret ?? null, token.redeemedAt ?? null, token.redeemedBy ?? null).lastInsertRowid));
  const isOver = ({ expiresAt }: Token, time: Time): boolean => expiresAt !== undefined && expiresAt <= time;

  return {
    asked: {
      of: (keyName) => ofKey.all(keyName).map((row) => fromRow<Token>(row)),
      add: (token) => {
        const secret = randomBytes(SECRET_BYTES).toString("hex");
        const time = now();
        return { ...bring({ ...token, secret, createdAt: time, updatedAt: time }), secret };
      },
      find: (keyName, secret, time) => {
        const wanted = digest(secret);
        // All are compared, so that the time it takes says nothing.
        const found = open.all(keyName).map((row) => fromRow<Token>(row)).filter((token) => timingSafeEqual(digest(token.secret!), wanted));
        return found.find((token) => !isOver(token, time));
      },
      withdraw: (id) => atomically(() => {
        const { redeemedAt } = get(id);
        if (redeemedAt !== undefined) throw new Error(`Token ${id} was redeemed already: revoke the client that it made.`);
        withdraw.run(now(), id);
      }),
      redeem: (id, publicKey, time) => atomically(() => {
        const token = get(id);
        if (token.secret === undefined) throw new Error(`Token ${id} was ${token.redeemedAt === undefined ? "withdrawn" : "redeemed"} already.`);
        if (isOver(token, time)) throw new Error(`Token ${id} expired at ${new Date(token.expiresAt!).toISOString()}.`);
        requireChange(redeem.run(time, time, publicKey, id), `token ${id}`);
        const { keyName, clientName, policyId, expiresAt } = token;
        return clients.admit({ keyName, publicKey, name: clientName, policyId, ...(expiresAt !== undefined && { expiresAt }) });
      }),
    },
    bring,
  };
}

const digest = (text: string): Buffer => createHash("sha256").update(text).digest();
