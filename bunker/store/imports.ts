import type { DatabaseSync } from "node:sqlite";
import type { Clients } from "./clients.js";
import type { Store } from "./store.js";
import type { Tokens } from "./tokens.js";

export function importsIn(database: DatabaseSync, clients: Clients, tokens: Tokens): Store["imports"] {
  const find = database.prepare("SELECT id FROM imports WHERE mark = ?");
  const insert = database.prepare("INSERT OR IGNORE INTO imports (mark, id) VALUES (?, ?)");
  return {
    has: (mark) => find.get(mark) !== undefined,
    idOf: (mark) => (find.get(mark) as { id: number | null } | undefined)?.id ?? undefined,
    mark: (mark, id) => { insert.run(mark, id ?? null); },
    client: clients.bring,
    token: tokens.bring,
  };
}
