import type { DatabaseSync } from "node:sqlite";
import type { Time } from "../model.js";
import type { Store } from "./store.js";

/** A cap that is given later sees the last day. */
const KEPT_WITHOUT_CAP_MS = 24 * 3600 * 1000;
const PRUNED_EVERY_MS = 10 * 60 * 1000;

export interface Usage {
  readonly asked: Store["usage"];
  add(ruleId: number, clientId: number, time: Time): void;
  /** Forgets uses that no cap sees any more, when the last time is ten minutes ago. What counts against a cap for ever stays for ever. */
  prune(now: Time): void;
}

export function usageIn(database: DatabaseSync): Usage {
  const since = database.prepare("SELECT count(*) AS uses FROM usage WHERE rule_id = ? AND client_id = ? AND time >= ?");
  const insert = database.prepare("INSERT INTO usage (rule_id, client_id, time) VALUES (?, ?, ?)");
  const prune = database.prepare(`DELETE FROM usage WHERE rowid IN (SELECT usage.rowid FROM rules JOIN usage ON usage.rule_id = rules.id WHERE
    (rules.cap_uses IS NULL AND usage.time < :now - ${KEPT_WITHOUT_CAP_MS}) OR
    (rules.cap_uses IS NOT NULL AND rules.cap_window_seconds IS NOT NULL AND usage.time < :now - rules.cap_window_seconds * 1000))`);
  let prunedAt = -Infinity;
  return {
    asked: { count: (ruleId, clientId, from) => (since.get(ruleId, clientId, from ?? 0) as { uses: number }).uses },
    add: (ruleId, clientId, time) => { insert.run(ruleId, clientId, time); },
    prune: (now) => {
      // A clock that was set back must not stop it.
      if (Math.abs(now - prunedAt) < PRUNED_EVERY_MS) return;
      prunedAt = now;
      prune.run({ now });
    },
  };
}
