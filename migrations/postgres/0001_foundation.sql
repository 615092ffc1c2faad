-- Intent, what led to it, and who did what. The same tables as in migrations/sqlite, in PostgreSQL's own types;
-- docs/adr/0003-two-databases-one-schema.md says why they look as they do.

-- The one row that every admission locks first: rules that count toward the global quota, and the safelist's revision.
CREATE TABLE admission (
    id                SMALLINT PRIMARY KEY CHECK (id = 1),
    active            BIGINT NOT NULL,
    safelist_revision BIGINT NOT NULL
) WITH (fillfactor = 10);
INSERT INTO admission (id, active, safelist_revision) VALUES (1, 0, 0);

-- Rules that count toward the quota of a pop or a customer.
CREATE TABLE quota_counters (
    scope  TEXT COLLATE "C" NOT NULL,
    name   TEXT COLLATE "C" NOT NULL,
    active BIGINT NOT NULL,
    PRIMARY KEY (scope, name)
) WITH (fillfactor = 50);

-- Newly admitted rules per Unix second, for the rate of new rules; a few minutes are kept.
CREATE TABLE admissions (
    pop    TEXT COLLATE "C" NOT NULL,
    second BIGINT NOT NULL,
    total  BIGINT NOT NULL,
    PRIMARY KEY (pop, second)
) WITH (fillfactor = 50);

-- Row counts that people ask for, spread over shards so that writers do not wait for each other.
CREATE TABLE tallies (
    kind  TEXT COLLATE "C" NOT NULL,
    name  TEXT COLLATE "C" NOT NULL,
    shard SMALLINT NOT NULL,
    total BIGINT NOT NULL,
    PRIMARY KEY (kind, name, shard)
) WITH (fillfactor = 25);

-- `phase` (queued, living, ending, final) follows from `status`; `queued_at` and `closed_at` are set exactly in the
-- first and the last of them. No index sees the status: a confirmation (pending to active) touches none.
CREATE TABLE mitigations (
    mitigation_id UUID PRIMARY KEY,
    revision      BIGINT NOT NULL,
    pop           TEXT COLLATE "C" NOT NULL,
    phase         TEXT COLLATE "C" NOT NULL CHECK (phase IN ('queued', 'living', 'ending', 'final')),
    status        TEXT COLLATE "C" NOT NULL,
    queued_at     TIMESTAMPTZ,
    closed_as     TEXT COLLATE "C",
    closed_at     TIMESTAMPTZ,
    customer_id   TEXT COLLATE "C",
    victim_ip     TEXT COLLATE "C" NOT NULL,
    vector        TEXT COLLATE "C" NOT NULL,
    route_kind    TEXT COLLATE "C",
    nlri          BYTEA,
    created_at    TIMESTAMPTZ NOT NULL,
    acknowledged  BOOLEAN NOT NULL,
    doc           TEXT NOT NULL,
    CHECK ((phase = 'queued') = (queued_at IS NOT NULL)),
    CHECK ((phase = 'final') = (closed_at IS NOT NULL AND closed_as IS NOT NULL))
) WITH (fillfactor = 75, toast_tuple_target = 8160);

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

-- Sources and episode ids can be longer than an index entry may be: `*_key` is the head of their SHA-256. Only a ban
-- has an episode and a sighting (source and victim): what it reported can be found again.
CREATE TABLE events (
    event_id          UUID PRIMARY KEY,
    ingested_at       TIMESTAMPTZ NOT NULL,
    source            TEXT COLLATE "C" NOT NULL,
    source_key        BIGINT NOT NULL,
    external_event_id TEXT COLLATE "C",
    episode_key       BIGINT,
    sighting_key      BIGINT,
    victim_ip         TEXT COLLATE "C" NOT NULL,
    vector            TEXT COLLATE "C",
    mitigation_id     UUID,
    doc               TEXT NOT NULL,
    raw_details       TEXT
) WITH (toast_tuple_target = 8160);

CREATE INDEX events_received ON events (ingested_at, event_id);
CREATE INDEX events_source ON events (source_key, ingested_at, event_id);
CREATE INDEX events_victim ON events (victim_ip, ingested_at, event_id);
CREATE INDEX events_vector ON events (vector, ingested_at, event_id);
CREATE INDEX events_episode ON events (episode_key) WHERE episode_key IS NOT NULL;
CREATE INDEX events_sighting ON events (sighting_key) WHERE sighting_key IS NOT NULL;

CREATE TABLE audit_entries (
    audit_id    UUID PRIMARY KEY,
    at          TIMESTAMPTZ NOT NULL,
    pop         TEXT COLLATE "C" NOT NULL,
    actor_type  TEXT COLLATE "C" NOT NULL,
    actor_id    TEXT COLLATE "C",
    actor_key   BIGINT,
    action      TEXT COLLATE "C" NOT NULL,
    target_type TEXT COLLATE "C",
    target_id   TEXT COLLATE "C",
    target_key  BIGINT,
    details     TEXT NOT NULL
) WITH (toast_tuple_target = 8160);

CREATE INDEX audit_entries_at ON audit_entries (at, audit_id);
CREATE INDEX audit_entries_actor ON audit_entries (actor_key, at, audit_id);
CREATE INDEX audit_entries_action ON audit_entries (action, at, audit_id);
CREATE INDEX audit_entries_target_type ON audit_entries (target_type, at, audit_id);
CREATE INDEX audit_entries_target ON audit_entries (target_key, at, audit_id);

CREATE TABLE safelist (
    prefix TEXT COLLATE "C" PRIMARY KEY,
    doc    TEXT NOT NULL
);

-- Answers to requests with an idempotency key; the id is the SHA-256 of principal, path and key.
CREATE TABLE replies (
    reply_id   BYTEA PRIMARY KEY,
    body_hash  BYTEA NOT NULL,
    reply      TEXT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL
);
CREATE INDEX replies_created ON replies (created_at);
