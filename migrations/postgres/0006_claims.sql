-- When an episode ended last, by the clock of its detector: a report of it that began no later is a late copy. The key is
-- the SHA-256 of source and episode id. Kept as long as events are.
CREATE TABLE episode_ends (
    end_key  BYTEA PRIMARY KEY,
    ended_at TIMESTAMPTZ NOT NULL,
    noted_at TIMESTAMPTZ NOT NULL
) WITH (fillfactor = 75);
CREATE INDEX episode_ends_noted ON episode_ends (noted_at);
