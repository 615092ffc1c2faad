-- The time. The same as in migrations/sqlite; docs/adr/0018-the-time-of-storage.md says why.

-- The sum of the steps of this database's clock that the leader of the pop has made good, in microseconds.
ALTER TABLE leadership ADD COLUMN frame BIGINT NOT NULL DEFAULT 0;

-- How far retention has come, 1970 before it was ever moved: a clock that is set deletes nothing at once.
CREATE TABLE retention (
    id      SMALLINT PRIMARY KEY CHECK (id = 1),
    horizon TIMESTAMPTZ NOT NULL
);
INSERT INTO retention (id, horizon) VALUES (1, TIMESTAMPTZ 'epoch');
