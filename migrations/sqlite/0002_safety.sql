-- Several instances, the kill switch, and the sealed audit chain. The same tables as in migrations/postgres, except for
-- the feed, which only shared storage needs; docs/adr/0010-shared-storage.md says why they look as they do.

-- Who leads a pop. There is one instance per file, so the lease never ends; each start begins a new epoch.
CREATE TABLE leadership (
    pop         TEXT NOT NULL PRIMARY KEY,
    epoch       INTEGER NOT NULL,
    instance    BLOB NOT NULL,
    speaker     TEXT NOT NULL,
    mode        TEXT NOT NULL,
    lease_until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What each instance said of itself last. `clock_ahead` is in microseconds: its clock minus the database's.
CREATE TABLE instances (
    pop           TEXT NOT NULL,
    instance      BLOB NOT NULL,
    configuration TEXT NOT NULL,
    clock_ahead   INTEGER NOT NULL,
    seen          INTEGER NOT NULL,
    PRIMARY KEY (pop, instance)
) STRICT, WITHOUT ROWID;

-- The kill switch. Its revision stands in the row that every admission reads, so a freeze binds the next one.
ALTER TABLE admission ADD COLUMN panic_revision INTEGER NOT NULL DEFAULT 0;
CREATE TABLE panic_scopes (
    panic_id   BLOB NOT NULL PRIMARY KEY,
    started_at INTEGER NOT NULL,
    is_thawed  INTEGER NOT NULL CHECK (is_thawed IN (0, 1)),
    doc        TEXT NOT NULL
) STRICT;
CREATE INDEX panic_scopes_frozen ON panic_scopes (started_at, panic_id) WHERE NOT is_thawed;

-- Entries that are not sealed yet, in the order of writing. An entry and its place here are one transaction.
CREATE TABLE audit_queue (
    position INTEGER NOT NULL PRIMARY KEY,
    pop      TEXT NOT NULL,
    audit_id BLOB NOT NULL
) STRICT;
CREATE INDEX audit_queue_pop ON audit_queue (pop, position);

-- The places of sealed entries in the chain of their pop. Apart from the entries, which so are never rewritten.
CREATE TABLE audit_seals (
    pop       TEXT NOT NULL,
    seq       INTEGER NOT NULL,
    audit_id  BLOB NOT NULL,
    prev_hash BLOB NOT NULL,
    hash      BLOB NOT NULL,
    PRIMARY KEY (pop, seq)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX audit_seals_entry ON audit_seals (audit_id);

-- The newest sealed entry of each pop.
CREATE TABLE audit_chain (
    pop  TEXT NOT NULL PRIMARY KEY,
    seq  INTEGER NOT NULL,
    hash BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- A list is of one pop; that of every pop is merged from those.
CREATE INDEX audit_entries_pop ON audit_entries (pop, at, audit_id);
DROP INDEX audit_entries_at;

INSERT INTO audit_queue (pop, audit_id) SELECT pop, audit_id FROM audit_entries ORDER BY at, audit_id;

-- What the planner would find in a large database, as in the first migration.
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('audit_entries', 'audit_entries_pop', '100000000 50000000 2 1'),
    ('audit_queue', 'audit_queue_pop', '10000 5000 1'),
    ('audit_seals', 'audit_seals', '100000000 50000000 1'),
    ('audit_seals', 'audit_seals_entry', '100000000 1'),
    ('panic_scopes', 'sqlite_autoindex_panic_scopes_1', '1000 1'),
    ('panic_scopes', 'panic_scopes_frozen', '10 1 1');
ANALYZE sqlite_schema;
