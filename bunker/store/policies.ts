import type { DatabaseSync } from "node:sqlite";
import type { ClientMethod, Policy, PublicKey, Rule } from "../model.js";
import { fromRow } from "./rows.js";
import type { NewPolicy, NewRule, Store } from "./store.js";
import type { Transactions } from "./transaction.js";

interface RuleRow {
  readonly id: number;
  readonly method: ClientMethod;
  readonly kind?: number;
  readonly counterparty?: PublicKey;
  readonly uses?: number;
  readonly windowSeconds?: number;
}

const ruleOf = ({ uses, windowSeconds, ...rest }: RuleRow): Rule =>
  ({ ...rest, ...(uses !== undefined && { cap: { uses, ...(windowSeconds !== undefined && { windowSeconds }) } }) });

const allowsTheSame = (one: NewRule, other: NewRule): boolean => one.method === other.method && one.kind === other.kind && one.counterparty === other.counterparty;
const isTheSame = (one: NewRule, other: NewRule): boolean =>
  allowsTheSame(one, other) && one.cap?.uses === other.cap?.uses && one.cap?.windowSeconds === other.cap?.windowSeconds;

export function policiesIn(database: DatabaseSync, { atomically }: Transactions, now: () => number): Store["policies"] {
  const columns = "id, name, created_at AS createdAt, expires_at AS expiresAt";
  const all = database.prepare(`SELECT ${columns} FROM policies ORDER BY id`);
  const one = database.prepare(`SELECT ${columns} FROM policies WHERE id = ?`);
  const insert = database.prepare("INSERT INTO policies (name, created_at, expires_at) VALUES (?, ?, ?)");
  const update = database.prepare("UPDATE policies SET name = ?, expires_at = ? WHERE id = ?");
  const rulesOf = database.prepare(
    "SELECT id, method, kind, counterparty, cap_uses AS uses, cap_window_seconds AS windowSeconds FROM rules WHERE policy_id = ? ORDER BY place");
  const insertRule = database.prepare("INSERT INTO rules (policy_id, place, method, kind, counterparty, cap_uses, cap_window_seconds) VALUES (?, ?, ?, ?, ?, ?, ?)");
  const updateRule = database.prepare("UPDATE rules SET place = ?, cap_uses = ?, cap_window_seconds = ? WHERE id = ?");
  const removeRule = database.prepare("DELETE FROM rules WHERE id = ?");

  const whole = (row: Parameters<typeof fromRow>[0]): Policy => {
    const policy = fromRow<Omit<Policy, "rules">>(row);
    return { ...policy, rules: rulesOf.all(policy.id).map((rule) => ruleOf(fromRow<RuleRow>(rule))) };
  };
  const get = (id: number): Policy | undefined => {
    const row = one.get(id);
    return row && whole(row);
  };
  const addRule = (policyId: number, place: number, { method, kind, counterparty, cap }: NewRule): void => {
    insertRule.run(policyId, place, method, kind ?? null, counterparty ?? null, cap?.uses ?? null, cap?.windowSeconds ?? null);
  };

  return {
    all: () => all.all().map(whole),
    get,
    add: (policy: NewPolicy) => atomically(() => {
      const id = Number(insert.run(policy.name, now(), policy.expiresAt ?? null).lastInsertRowid);
      for (const [place, rule] of policy.rules.entries()) addRule(id, place, rule);
      return get(id)!;
    }),
    update: (id, policy) => atomically(() => {
      const before = get(id);
      if (before === undefined) throw new Error(`There is no policy ${id}.`);
      update.run(policy.name, policy.expiresAt ?? null, id);
      const left = new Set(before.rules);
      const take = (same: (rule: Rule) => boolean): Rule | undefined => {
        const found = [...left].find(same);
        if (found !== undefined) left.delete(found);
        return found;
      };
      // Those that are quite the same find themselves first: of two caps on one thing, each keeps what was used of it.
      const kept = policy.rules.map((rule) => take((old) => isTheSame(old, rule)));
      for (const [place, rule] of policy.rules.entries()) {
        const old = kept[place] ?? take((other) => allowsTheSame(other, rule));
        if (old === undefined) addRule(id, place, rule);
        else updateRule.run(place, rule.cap?.uses ?? null, rule.cap?.windowSeconds ?? null, old.id);
      }
      for (const rule of left) removeRule.run(rule.id);
      return get(id)!;
    }),
  };
}
