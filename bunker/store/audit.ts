import type { DatabaseSync } from "node:sqlite";
import type { AuditLine } from "../model.js";
import { emptyHead, faultIn, nextLine, type AuditHead } from "./chain.js";
import { fromRow } from "./rows.js";
import type { Store } from "./store.js";
import type { Transactions } from "./transaction.js";

const LINES_AT_ONCE = 1000;

export function auditIn(database: DatabaseSync, { atomically }: Transactions): Store["audit"] {
  const columns = "sequence, time, action, who, key_name AS keyName, kind, counterparty, outcome, note, content_hash AS contentHash, previous, hash";
  const insert = database.prepare(`INSERT INTO audit (sequence, time, action, who, key_name, kind, counterparty, outcome, note, content_hash, previous, hash)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`);
  const readHead = database.prepare("SELECT sequence, hash FROM audit_head");
  const writeHead = database.prepare("UPDATE audit_head SET sequence = ?, hash = ?");
  const chain = database.prepare(`SELECT ${columns} FROM audit ORDER BY sequence`);
  const at = database.prepare("SELECT hash FROM audit WHERE sequence = ?");
  const wanted = `(:keyName IS NULL OR key_name = :keyName) AND (:who IS NULL OR who = :who) AND (:since IS NULL OR time >= :since)`;
  const after = database.prepare(`SELECT ${columns} FROM audit WHERE sequence > :after AND ${wanted} ORDER BY sequence LIMIT :limit`);
  const latest = database.prepare(`SELECT ${columns} FROM audit WHERE ${wanted} ORDER BY sequence DESC LIMIT :limit`);

  const head = (): AuditHead => fromRow<AuditHead>(readHead.get()!);

  return {
    append: (deed, now) => atomically(() => {
      const line = nextLine(head(), deed, now);
      insert.run(line.sequence, line.time, line.action, line.who, line.keyName ?? null, line.kind ?? null, line.counterparty ?? null, line.outcome,
        line.note ?? null, line.contentHash ?? null, line.previous, line.hash);
      writeHead.run(line.sequence, line.hash);
      return line;
    }),
    query: ({ keyName, who, since, after: from, limit }) => {
      const filter = { keyName: keyName ?? null, who: who ?? null, since: since ?? null, limit: limit ?? LINES_AT_ONCE };
      const rows = from === undefined ? latest.all(filter).reverse() : after.all({ ...filter, after: from });
      return rows.map((row) => fromRow<AuditLine>(row));
    },
    verify: () => {
      let before = emptyHead;
      for (const row of chain.iterate()) {
        const line = fromRow<AuditLine>(row as Parameters<typeof fromRow>[0]);
        const fault = faultIn(line, before);
        if (fault !== undefined) return { lines: before.sequence, fault };
        before = line;
      }
      const known = head();
      const fault = known.sequence === before.sequence && known.hash === before.hash ? undefined
        : known.sequence > before.sequence ? `the log ends with line ${before.sequence}, and had ${known.sequence}: its end was cut off.`
          : `line ${known.sequence + 1} or its like was put in after the end, which is line ${known.sequence}.`;
      return { lines: before.sequence, ...(fault !== undefined && { fault }) };
    },
    head,
    hashAt: (sequence) => (at.get(sequence) as { hash: string } | undefined)?.hash,
  };
}
