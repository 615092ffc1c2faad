-- Admission by pop. The same as in migrations/postgres, but for the counts of rows: here they are added up at once, and
-- `admission.granted` is the number of all rules, because there is one writer.

-- One row per unit of work that changes which rules there are at a pop, with the number after the one before. Never
-- updated. A few minutes are kept, and the newest always.
CREATE TABLE pop_log (
    pop      TEXT NOT NULL,
    version  INTEGER NOT NULL,
    at       INTEGER NOT NULL,
    second   INTEGER NOT NULL,
    instance BLOB,
    epoch    INTEGER NOT NULL,
    standing INTEGER NOT NULL,
    active   INTEGER NOT NULL,
    granted  INTEGER NOT NULL,
    admitted INTEGER NOT NULL,
    PRIMARY KEY (pop, version),
    CHECK (active <= granted)
) STRICT, WITHOUT ROWID;
-- The rate of new rules.
CREATE INDEX pop_log_admitted ON pop_log (pop, second, admitted) WHERE admitted > 0;

INSERT INTO pop_log (pop, version, at, second, epoch, standing, active, granted, admitted)
SELECT pop, row_number() OVER (PARTITION BY pop ORDER BY second), second * 1000000, second, 0, 0, 0, 0, total
FROM admissions;
INSERT INTO pop_log (pop, version, at, second, epoch, standing, active, granted, admitted)
SELECT p.pop, coalesce((SELECT max(version) FROM pop_log AS l WHERE l.pop = p.pop), 0) + 1, 0, 0, 0, 0, p.active, p.active, 0
FROM (
    SELECT pop, sum(active) AS active FROM (
        SELECT name AS pop, active FROM quota_counters WHERE scope = 'pop'
        UNION ALL SELECT pop, 0 FROM admissions
    ) GROUP BY pop
) AS p;
DROP TABLE admissions;

ALTER TABLE admission RENAME COLUMN active TO granted;
UPDATE admission SET granted = coalesce((SELECT sum(active) FROM quota_counters WHERE scope = 'pop'), 0);
DELETE FROM quota_counters WHERE scope = 'pop';

-- What the planner would find in a large database, as in the first migration.
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('pop_log', 'pop_log', '100000 50000 1'),
    ('pop_log', 'pop_log_admitted', '10000 5000 2 1');
ANALYZE sqlite_schema;
