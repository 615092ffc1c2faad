-- The time. The same as in migrations/postgres; docs/adr/0018-the-time-of-storage.md says why.

-- The sum of the steps of this machine's clock that the daemon has made good, in microseconds.
ALTER TABLE leadership ADD COLUMN frame INTEGER NOT NULL DEFAULT 0;

-- How far retention has come, 1970 before it was ever moved: a clock that is set deletes nothing at once.
CREATE TABLE retention (
    id      INTEGER PRIMARY KEY CHECK (id = 1),
    horizon INTEGER NOT NULL
) STRICT;
INSERT INTO retention (id, horizon) VALUES (1, 0);
