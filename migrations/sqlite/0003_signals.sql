-- Signal groups and corroborating signals. The same tables as in migrations/postgres;
-- docs/adr/0003-two-databases-one-schema.md says why they look as they do.

-- No index sees the revision or the document: a signal that joins an open group touches none.
CREATE TABLE signal_groups (
    group_id       BLOB NOT NULL PRIMARY KEY,
    revision       INTEGER NOT NULL,
    pop            TEXT NOT NULL,
    victim_ip      TEXT NOT NULL,
    vector         TEXT NOT NULL,
    status         TEXT NOT NULL CHECK (status IN ('open', 'resolved', 'expired')),
    created_at     INTEGER NOT NULL,
    window_ends_at INTEGER NOT NULL,
    mitigation_id  BLOB,
    doc            TEXT NOT NULL
) STRICT;

-- One open group per pop, victim and vector.
CREATE UNIQUE INDEX signal_groups_open ON signal_groups (pop, victim_ip, vector) WHERE status = 'open';
CREATE INDEX signal_groups_window ON signal_groups (pop, window_ends_at, group_id) WHERE status = 'open';

-- For lists.
CREATE INDEX signal_groups_created ON signal_groups (created_at, group_id);
CREATE INDEX signal_groups_pop ON signal_groups (pop, created_at, group_id);
CREATE INDEX signal_groups_status ON signal_groups (status, created_at, group_id);
CREATE INDEX signal_groups_victim ON signal_groups (victim_ip, created_at, group_id);
CREATE INDEX signal_groups_vector ON signal_groups (vector, created_at, group_id);

-- For retention.
CREATE INDEX signal_groups_ended ON signal_groups (window_ends_at) WHERE status <> 'open';

-- `is_attached`: to at least one group. `source_key` as in events.
CREATE TABLE corroborations (
    signal_id   BLOB NOT NULL PRIMARY KEY,
    received_by TEXT NOT NULL,
    source      TEXT NOT NULL,
    source_key  INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL,
    is_attached INTEGER NOT NULL CHECK (is_attached IN (0, 1)),
    doc         TEXT NOT NULL,
    raw_details TEXT
) STRICT;

-- Those that are not over, with the order in which the newest of them are found.
CREATE INDEX corroborations_live ON corroborations (received_by, expires_at, received_at, signal_id);
CREATE INDEX corroborations_received ON corroborations (received_by, received_at, signal_id);
CREATE INDEX corroborations_source ON corroborations (source_key, received_at);

-- For retention.
CREATE INDEX corroborations_over ON corroborations (expires_at);

-- What the planner would find in a large database, as in the first migration.
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('signal_groups', 'sqlite_autoindex_signal_groups_1', '10000000 1'),
    ('signal_groups', 'signal_groups_open', '10000 5000 2 1'),
    ('signal_groups', 'signal_groups_window', '10000 5000 2 1'),
    ('signal_groups', 'signal_groups_created', '10000000 2 1'),
    ('signal_groups', 'signal_groups_pop', '10000000 2000000 2 1'),
    ('signal_groups', 'signal_groups_status', '10000000 3000000 2 1'),
    ('signal_groups', 'signal_groups_victim', '10000000 20 1 1'),
    ('signal_groups', 'signal_groups_vector', '10000000 500000 2 1'),
    ('signal_groups', 'signal_groups_ended', '10000000 2'),
    ('corroborations', 'sqlite_autoindex_corroborations_1', '10000000 1'),
    ('corroborations', 'corroborations_live', '10000000 2000000 2 2 1'),
    ('corroborations', 'corroborations_received', '10000000 2000000 2'),
    ('corroborations', 'corroborations_source', '10000000 1000000 2'),
    ('corroborations', 'corroborations_over', '10000000 2');
ANALYZE sqlite_schema;
