-- Intent, what led to it, and who did what. The same tables as in migrations/postgres, in SQLite's types: ids are
-- 16-byte blobs, times whole microseconds since 1970; docs/adr/0003-two-databases-one-schema.md says why.

-- The one row that every admission reads: rules that count toward the global quota, and the safelist's revision.
CREATE TABLE admission (
    id                INTEGER PRIMARY KEY CHECK (id = 1),
    active            INTEGER NOT NULL,
    safelist_revision INTEGER NOT NULL
) STRICT;
INSERT INTO admission (id, active, safelist_revision) VALUES (1, 0, 0);

-- Rules that count toward the quota of a pop or a customer.
CREATE TABLE quota_counters (
    scope  TEXT NOT NULL,
    name   TEXT NOT NULL,
    active INTEGER NOT NULL,
    PRIMARY KEY (scope, name)
) STRICT, WITHOUT ROWID;

-- Newly admitted rules per Unix second, for the rate of new rules; a few minutes are kept.
CREATE TABLE admissions (
    pop    TEXT NOT NULL,
    second INTEGER NOT NULL,
    total  INTEGER NOT NULL,
    PRIMARY KEY (pop, second)
) STRICT, WITHOUT ROWID;

-- Row counts that people ask for. There is one writer, so the shard is always 0.
CREATE TABLE tallies (
    kind  TEXT NOT NULL,
    name  TEXT NOT NULL,
    shard INTEGER NOT NULL,
    total INTEGER NOT NULL,
    PRIMARY KEY (kind, name, shard)
) STRICT, WITHOUT ROWID;

-- `phase` (queued, living, ending, final) follows from `status`; `queued_at` and `closed_at` are set exactly in the
-- first and the last of them. No index sees the status: a confirmation (pending to active) touches none.
CREATE TABLE mitigations (
    mitigation_id BLOB NOT NULL PRIMARY KEY,
    revision      INTEGER NOT NULL,
    pop           TEXT NOT NULL,
    phase         TEXT NOT NULL CHECK (phase IN ('queued', 'living', 'ending', 'final')),
    status        TEXT NOT NULL,
    queued_at     INTEGER,
    closed_as     TEXT,
    closed_at     INTEGER,
    customer_id   TEXT,
    victim_ip     TEXT NOT NULL,
    vector        TEXT NOT NULL,
    route_kind    TEXT,
    nlri          BLOB,
    created_at    INTEGER NOT NULL,
    acknowledged  INTEGER NOT NULL CHECK (acknowledged IN (0, 1)),
    doc           TEXT NOT NULL,
    CHECK ((phase = 'queued') = (queued_at IS NOT NULL)),
    CHECK ((phase = 'final') = (closed_at IS NOT NULL AND closed_as IS NOT NULL))
) STRICT;

-- One rule, one claimant per pop.
CREATE UNIQUE INDEX mitigations_claim ON mitigations (pop, nlri, route_kind) WHERE phase IN ('queued', 'living');

-- For transactions: rows of a rule or victim that are not final (no `closed_at`), or ended late enough; the queue.
CREATE INDEX mitigations_rule ON mitigations (nlri, closed_at);
CREATE INDEX mitigations_victim_state ON mitigations (victim_ip, closed_at);
CREATE INDEX mitigations_queue ON mitigations (pop, queued_at, mitigation_id) WHERE queued_at IS NOT NULL;

-- For lists.
CREATE INDEX mitigations_created ON mitigations (created_at, mitigation_id);
CREATE INDEX mitigations_pop ON mitigations (pop, created_at, mitigation_id);
CREATE INDEX mitigations_customer ON mitigations (customer_id, created_at, mitigation_id);
CREATE INDEX mitigations_victim ON mitigations (victim_ip, created_at, mitigation_id);
CREATE INDEX mitigations_vector ON mitigations (vector, created_at, mitigation_id);
CREATE INDEX mitigations_unfinished ON mitigations (created_at, mitigation_id) WHERE phase <> 'final';
CREATE INDEX mitigations_closed ON mitigations (closed_as, created_at, mitigation_id) WHERE closed_as IS NOT NULL;
CREATE INDEX mitigations_acknowledged ON mitigations (created_at, mitigation_id) WHERE acknowledged;

-- Sources and episode ids are long texts: `*_key` is the head of their SHA-256. Only a ban has an episode and a
-- sighting (source and victim): what it reported can be found again.
CREATE TABLE events (
    event_id          BLOB NOT NULL PRIMARY KEY,
    ingested_at       INTEGER NOT NULL,
    source            TEXT NOT NULL,
    source_key        INTEGER NOT NULL,
    external_event_id TEXT,
    episode_key       INTEGER,
    sighting_key      INTEGER,
    victim_ip         TEXT NOT NULL,
    vector            TEXT,
    mitigation_id     BLOB,
    doc               TEXT NOT NULL,
    raw_details       TEXT
) STRICT;

CREATE INDEX events_received ON events (ingested_at, event_id);
CREATE INDEX events_source ON events (source_key, ingested_at, event_id);
CREATE INDEX events_victim ON events (victim_ip, ingested_at, event_id);
CREATE INDEX events_vector ON events (vector, ingested_at, event_id);
CREATE INDEX events_episode ON events (episode_key) WHERE episode_key IS NOT NULL;
CREATE INDEX events_sighting ON events (sighting_key) WHERE sighting_key IS NOT NULL;

CREATE TABLE audit_entries (
    audit_id    BLOB NOT NULL PRIMARY KEY,
    at          INTEGER NOT NULL,
    pop         TEXT NOT NULL,
    actor_type  TEXT NOT NULL,
    actor_id    TEXT,
    actor_key   INTEGER,
    action      TEXT NOT NULL,
    target_type TEXT,
    target_id   TEXT,
    target_key  INTEGER,
    details     TEXT NOT NULL
) STRICT;

CREATE INDEX audit_entries_at ON audit_entries (at, audit_id);
CREATE INDEX audit_entries_actor ON audit_entries (actor_key, at, audit_id);
CREATE INDEX audit_entries_action ON audit_entries (action, at, audit_id);
CREATE INDEX audit_entries_target_type ON audit_entries (target_type, at, audit_id);
CREATE INDEX audit_entries_target ON audit_entries (target_key, at, audit_id);

CREATE TABLE safelist (
    prefix TEXT NOT NULL PRIMARY KEY,
    doc    TEXT NOT NULL
) STRICT;

-- Answers to requests with an idempotency key; the id is the SHA-256 of principal, path and key.
CREATE TABLE replies (
    reply_id   BLOB NOT NULL PRIMARY KEY,
    body_hash  BLOB NOT NULL,
    reply      TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX replies_created ON replies (created_at);

-- What the planner would find in a large database, so that its plans are the same from the first row on: a victim
-- selects more than a customer, a customer more than a vector, a vector more than a pop.
ANALYZE;
DELETE FROM sqlite_stat1;
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('mitigations', 'sqlite_autoindex_mitigations_1', '10000000 1'),
    ('mitigations', 'mitigations_claim', '50000 10000 1 1'),
    ('mitigations', 'mitigations_rule', '10000000 10 1'),
    ('mitigations', 'mitigations_victim_state', '10000000 20 1'),
    ('mitigations', 'mitigations_queue', '1000 200 1 1'),
    ('mitigations', 'mitigations_created', '10000000 2 1'),
    ('mitigations', 'mitigations_pop', '10000000 2000000 2 1'),
    ('mitigations', 'mitigations_customer', '10000000 2000 2 1'),
    ('mitigations', 'mitigations_victim', '10000000 20 1 1'),
    ('mitigations', 'mitigations_vector', '10000000 500000 2 1'),
    ('mitigations', 'mitigations_unfinished', '50000 2 1'),
    ('mitigations', 'mitigations_closed', '10000000 3000000 2 1'),
    ('mitigations', 'mitigations_acknowledged', '100000 2 1'),
    ('events', 'sqlite_autoindex_events_1', '100000000 1'),
    ('events', 'events_received', '100000000 2 1'),
    ('events', 'events_source', '100000000 10000000 2 1'),
    ('events', 'events_victim', '100000000 200 1 1'),
    ('events', 'events_vector', '100000000 5000000 2 1'),
    ('events', 'events_episode', '50000000 20'),
    ('events', 'events_sighting', '100000000 100'),
    ('audit_entries', 'sqlite_autoindex_audit_entries_1', '100000000 1'),
    ('audit_entries', 'audit_entries_at', '100000000 2 1'),
    ('audit_entries', 'audit_entries_actor', '100000000 1000000 2 1'),
    ('audit_entries', 'audit_entries_action', '100000000 10000000 2 1'),
    ('audit_entries', 'audit_entries_target_type', '100000000 30000000 2 1'),
    ('audit_entries', 'audit_entries_target', '100000000 20 1 1'),
    ('replies', 'sqlite_autoindex_replies_1', '100000 1'),
    ('replies', 'replies_created', '100000 2');
-- the connection that migrates shall know them too
ANALYZE sqlite_schema;
