-- Who may do what: operators, their logins, API tokens, preferences. The same tables as in migrations/postgres;
-- docs/adr/0036-ended-at-once.md says why they look as they do.

-- Rises when a credential ends or shrinks. Every transaction on behalf of a stored credential looks at it, last of all; so
-- it has a row of its own, which nothing else locks.
CREATE TABLE access_revision (
    id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    revision INTEGER NOT NULL
) STRICT;
INSERT INTO access_revision (id, revision) VALUES (1, 0);

-- A deleted operator stays, so that nobody gets its name. `name_key`: the name in lower case.
CREATE TABLE operators (
    operator_id BLOB NOT NULL PRIMARY KEY,
    revision    INTEGER NOT NULL,
    name_key    TEXT NOT NULL,
    is_admin    INTEGER NOT NULL CHECK (is_admin IN (0, 1)),
    is_deleted  INTEGER NOT NULL CHECK (is_deleted IN (0, 1)),
    doc         TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX operators_name ON operators (name_key);
CREATE INDEX operators_admin ON operators (operator_id) WHERE is_admin;

-- Tokens and cookies are stored as their SHA-256.
CREATE TABLE tokens (
    token_id     BLOB NOT NULL PRIMARY KEY,
    digest       BLOB NOT NULL,
    is_revoked   INTEGER NOT NULL CHECK (is_revoked IN (0, 1)),
    last_used_at INTEGER,
    doc          TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX tokens_digest ON tokens (digest);

CREATE TABLE sessions (
    session_id   BLOB NOT NULL PRIMARY KEY,
    operator_id  BLOB NOT NULL,
    digest       BLOB NOT NULL,
    last_seen_at INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL,
    doc          TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX sessions_digest ON sessions (digest);
CREATE INDEX sessions_operator ON sessions (operator_id);
CREATE INDEX sessions_seen ON sessions (last_seen_at);
CREATE INDEX sessions_end ON sessions (expires_at);

CREATE TABLE preferences (
    principal TEXT NOT NULL PRIMARY KEY,
    doc       TEXT NOT NULL
) STRICT, WITHOUT ROWID;
