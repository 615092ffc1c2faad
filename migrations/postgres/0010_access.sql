-- Who may do what: operators, their logins, API tokens, preferences. The same tables as in migrations/sqlite;
-- docs/adr/0036-ended-at-once.md says why they look as they do.

-- Rises when a credential ends or shrinks. Every transaction on behalf of a stored credential looks at it, last of all; so
-- it has a row of its own, which nothing else locks.
CREATE TABLE access_revision (
    id SMALLINT PRIMARY KEY CHECK (id = 1),
    revision BIGINT NOT NULL
) WITH (fillfactor = 25);
INSERT INTO access_revision (id, revision) VALUES (1, 0);

-- A deleted operator stays, so that nobody gets its name. `name_key`: the name in lower case.
CREATE TABLE operators (
    operator_id UUID PRIMARY KEY,
    revision    BIGINT NOT NULL,
    name_key    TEXT COLLATE "C" NOT NULL,
    is_admin    BOOLEAN NOT NULL,
    is_deleted  BOOLEAN NOT NULL,
    doc         TEXT NOT NULL
);
CREATE UNIQUE INDEX operators_name ON operators (name_key);
CREATE INDEX operators_admin ON operators (operator_id) WHERE is_admin;

-- Tokens and cookies are stored as their SHA-256.
CREATE TABLE tokens (
    token_id     UUID PRIMARY KEY,
    digest       BYTEA NOT NULL,
    is_revoked   BOOLEAN NOT NULL,
    last_used_at TIMESTAMPTZ,
    doc          TEXT NOT NULL
);
CREATE UNIQUE INDEX tokens_digest ON tokens (digest);

CREATE TABLE sessions (
    session_id   UUID PRIMARY KEY,
    operator_id  UUID NOT NULL,
    digest       BYTEA NOT NULL,
    last_seen_at TIMESTAMPTZ NOT NULL,
    expires_at   TIMESTAMPTZ NOT NULL,
    doc          TEXT NOT NULL
);
CREATE UNIQUE INDEX sessions_digest ON sessions (digest);
CREATE INDEX sessions_operator ON sessions (operator_id);
CREATE INDEX sessions_seen ON sessions (last_seen_at);
CREATE INDEX sessions_end ON sessions (expires_at);

CREATE TABLE preferences (
    principal TEXT COLLATE "C" PRIMARY KEY,
    doc       TEXT NOT NULL
);
