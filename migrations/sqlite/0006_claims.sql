-- When an episode ended last, by the clock of its detector: a report of it that began no later is a late copy. The key is
-- the SHA-256 of source and episode id. Kept as long as events are.
CREATE TABLE episode_ends (
    end_key  BLOB NOT NULL PRIMARY KEY,
    ended_at INTEGER NOT NULL,
    noted_at INTEGER NOT NULL
) STRICT;
CREATE INDEX episode_ends_noted ON episode_ends (noted_at);
