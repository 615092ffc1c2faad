-- Events by day: a day that is too old is dropped whole. docs/adr/0026-events-by-day.md says why.

-- The parts of events, and which time each holds. What was there before this version is one part.
CREATE TABLE event_days (
    part   TEXT COLLATE "C" PRIMARY KEY,
    begins TIMESTAMPTZ NOT NULL,
    ends   TIMESTAMPTZ NOT NULL
);

ALTER TABLE events RENAME TO events_before;
ALTER INDEX events_pkey RENAME TO events_before_pkey;
ALTER INDEX events_received RENAME TO events_before_received;
ALTER INDEX events_source RENAME TO events_before_source;
ALTER INDEX events_victim RENAME TO events_before_victim;
ALTER INDEX events_vector RENAME TO events_before_vector;
ALTER INDEX events_episode RENAME TO events_before_episode;
ALTER INDEX events_sighting RENAME TO events_before_sighting;

-- Its parts have a primary key of their own each: one of the whole would have to begin with the time.
CREATE TABLE events (LIKE events_before INCLUDING DEFAULTS INCLUDING STORAGE) PARTITION BY RANGE (ingested_at);
CREATE INDEX events_received ON events (ingested_at, event_id);
CREATE INDEX events_source ON events (source_key, ingested_at, event_id);
CREATE INDEX events_victim ON events (victim_ip, ingested_at, event_id);
CREATE INDEX events_vector ON events (vector, ingested_at, event_id);
CREATE INDEX events_episode ON events (episode_key) WHERE episode_key IS NOT NULL;
CREATE INDEX events_sighting ON events (sighting_key) WHERE sighting_key IS NOT NULL;

-- Until the end of the newest day that is in it, or of today. Days after that are made when the program opens the database.
DO $$
DECLARE
    newest TIMESTAMPTZ := greatest(now(), (SELECT max(ingested_at) FROM events_before));
    bound TIMESTAMPTZ := date_trunc('day', newest AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' + INTERVAL '24 hours';
BEGIN
    EXECUTE format('ALTER TABLE events ATTACH PARTITION events_before FOR VALUES FROM (MINVALUE) TO (%L)', bound);
    INSERT INTO event_days (part, begins, ends) VALUES ('events_before', TIMESTAMPTZ 'epoch', bound);
END $$;
