import type { DatabaseSync } from "node:sqlite";
import type { Store } from "./store.js";

export function replaysIn(database: DatabaseSync): Store["replays"] {
  const insert = database.prepare("INSERT OR IGNORE INTO replays (event_id, until) VALUES (?, ?)");
  const forget = database.prepare("DELETE FROM replays WHERE until < ?");
  return {
    remember: (eventId, until) => (Number(insert.run(eventId, until).changes) === 1 ? "new" : "seen"),
    forget: (before) => { forget.run(before); },
  };
}
