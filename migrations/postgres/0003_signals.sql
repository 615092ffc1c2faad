-- Signal groups and corroborating signals. The same tables as in migrations/sqlite;
-- docs/adr/0003-two-databases-one-schema.md says why they look as they do.

-- No index sees the revision or the document: a signal that joins an open group touches none.
CREATE TABLE signal_groups (
    group_id       UUID PRIMARY KEY,
    revision       BIGINT NOT NULL,
    pop            TEXT COLLATE "C" NOT NULL,
    victim_ip      TEXT COLLATE "C" NOT NULL,
    vector         TEXT COLLATE "C" NOT NULL,
    status         TEXT COLLATE "C" NOT NULL CHECK (status IN ('open', 'resolved', 'expired')),
    created_at     TIMESTAMPTZ NOT NULL,
    window_ends_at TIMESTAMPTZ NOT NULL,
    mitigation_id  UUID,
    doc            TEXT NOT NULL
) WITH (fillfactor = 75, toast_tuple_target = 8160);

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
    signal_id   UUID PRIMARY KEY,
    received_by TEXT COLLATE "C" NOT NULL,
    source      TEXT COLLATE "C" NOT NULL,
    source_key  BIGINT NOT NULL,
    received_at TIMESTAMPTZ NOT NULL,
    expires_at  TIMESTAMPTZ NOT NULL,
    is_attached BOOLEAN NOT NULL,
    doc         TEXT NOT NULL,
    raw_details TEXT
) WITH (fillfactor = 75, toast_tuple_target = 8160);

-- Those that are not over, with the order in which the newest of them are found.
CREATE INDEX corroborations_live ON corroborations (received_by, expires_at, received_at, signal_id);
CREATE INDEX corroborations_received ON corroborations (received_by, received_at, signal_id);
CREATE INDEX corroborations_source ON corroborations (source_key, received_at);

-- For retention.
CREATE INDEX corroborations_over ON corroborations (expires_at);
