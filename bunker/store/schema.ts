/**
 * How the database came to be what it is, one step for each version: SQLite's `user_version` counts those that are done. A step that was released is never changed.
 *
 * Times are milliseconds since 1970. STRICT: a column holds what it says and nothing else.
 */
export const migrations: readonly string[] = [
  `
  CREATE TABLE keys (
    name       TEXT PRIMARY KEY,
    public_key TEXT UNIQUE,
    at         TEXT NOT NULL CHECK (at IN ('ncryptsec', 'legacy')),
    text       TEXT,
    iv         TEXT,
    data       TEXT,
    created_at INTEGER NOT NULL,
    CHECK (at <> 'ncryptsec' OR (text IS NOT NULL AND iv IS NULL AND data IS NULL)),
    CHECK (at <> 'legacy' OR (text IS NULL AND iv IS NOT NULL AND data IS NOT NULL))
  ) STRICT;

  CREATE TABLE policies (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    name       TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER
  ) STRICT;

  CREATE TABLE rules (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    policy_id      INTEGER NOT NULL REFERENCES policies (id) ON DELETE CASCADE,
    place          INTEGER NOT NULL,
    method         TEXT NOT NULL,
    kind           INTEGER,
    counterparty   TEXT,
    cap_uses       INTEGER,
    cap_window_seconds INTEGER
  ) STRICT;
  CREATE INDEX rules_of_policy ON rules (policy_id, place);

  CREATE TABLE tokens (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    key_name    TEXT NOT NULL REFERENCES keys (name) ON DELETE CASCADE,
    client_name TEXT NOT NULL,
    policy_id   INTEGER NOT NULL REFERENCES policies (id),
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL,
    expires_at  INTEGER,
    secret      TEXT,
    redeemed_at INTEGER,
    redeemed_by TEXT,
    CHECK (redeemed_at IS NULL OR secret IS NULL)
  ) STRICT;
  CREATE INDEX tokens_of_key ON tokens (key_name);

  CREATE TABLE clients (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    key_name     TEXT NOT NULL REFERENCES keys (name) ON DELETE CASCADE,
    public_key   TEXT NOT NULL,
    name         TEXT NOT NULL,
    policy_id    INTEGER REFERENCES policies (id),
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER,
    last_used_at INTEGER,
    revoked_at   INTEGER,
    UNIQUE (key_name, public_key)
  ) STRICT;

  CREATE TABLE usage (
    rule_id   INTEGER NOT NULL REFERENCES rules (id) ON DELETE CASCADE,
    client_id INTEGER NOT NULL REFERENCES clients (id) ON DELETE CASCADE,
    time      INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX usage_seen_by_caps ON usage (rule_id, client_id, time);
  CREATE INDEX usage_of_client ON usage (client_id);

  CREATE TABLE replays (
    event_id TEXT PRIMARY KEY,
    until    INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX replays_by_end ON replays (until);

  CREATE TABLE audit (
    sequence     INTEGER PRIMARY KEY,
    time         INTEGER NOT NULL,
    action       TEXT NOT NULL,
    who          TEXT NOT NULL,
    key_name     TEXT,
    kind         INTEGER,
    counterparty TEXT,
    outcome      TEXT NOT NULL,
    note         TEXT,
    content_hash TEXT,
    previous     TEXT NOT NULL,
    hash         TEXT NOT NULL
  ) STRICT;
  CREATE INDEX audit_of_key ON audit (key_name, sequence);
  CREATE INDEX audit_of_who ON audit (who, sequence);

  CREATE TABLE audit_head (
    only     INTEGER PRIMARY KEY CHECK (only = 1),
    sequence INTEGER NOT NULL,
    hash     TEXT NOT NULL
  ) STRICT;
  INSERT INTO audit_head VALUES (1, 0, '${"0".repeat(64)}');

  CREATE TABLE imports (
    mark TEXT PRIMARY KEY,
    id   INTEGER
  ) STRICT, WITHOUT ROWID;
  `,
];
