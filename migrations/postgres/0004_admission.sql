-- Admission without a lock wider than a pop, and without a row that every event changes;
-- docs/adr/0019-admission-by-pop.md says why the tables look as they do. The same as in migrations/sqlite, but for
-- the counts of rows, which only PostgreSQL collects.

-- One row per unit of work that changes which rules there are at a pop, with the number after the one before: whoever
-- decided over an older number finds its place taken. Never updated. A few minutes are kept, and the newest always.
-- `granted`: so many rules the pop may have without asking the row of `admission`.
CREATE TABLE pop_log (
    pop      TEXT COLLATE "C" NOT NULL,
    version  BIGINT NOT NULL,
    at       TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
    second   BIGINT NOT NULL,
    instance UUID,
    epoch    BIGINT NOT NULL,
    standing BIGINT NOT NULL,
    active   BIGINT NOT NULL,
    granted  BIGINT NOT NULL,
    admitted BIGINT NOT NULL,
    PRIMARY KEY (pop, version),
    CHECK (active <= granted)
);
-- The rate of new rules.
CREATE INDEX pop_log_admitted ON pop_log (pop, second) INCLUDE (admitted) WHERE admitted > 0;

INSERT INTO pop_log (pop, version, second, epoch, standing, active, granted, admitted)
SELECT pop, row_number() OVER (PARTITION BY pop ORDER BY second), second, 0, 0, 0, 0, total FROM admissions;
INSERT INTO pop_log (pop, version, second, epoch, standing, active, granted, admitted)
SELECT p.pop, coalesce((SELECT max(version) FROM pop_log AS l WHERE l.pop = p.pop), 0) + 1, 0, 0, 0, p.active, p.active, 0
FROM (
    SELECT pop, sum(active) AS active FROM (
        SELECT name AS pop, active FROM quota_counters WHERE scope = 'pop'
        UNION ALL SELECT pop, 0 FROM admissions
    ) AS counted GROUP BY pop
) AS p;
DROP TABLE admissions;

-- What the pops hold of the global quota; `granted` of all pops.
ALTER TABLE admission RENAME COLUMN active TO granted;
UPDATE admission SET granted = coalesce((SELECT sum(active) FROM quota_counters WHERE scope = 'pop'), 0);
DELETE FROM quota_counters WHERE scope = 'pop';

-- How counts of rows have changed since they were added up in `tallies` last.
CREATE TABLE tally_log (
    kind  TEXT COLLATE "C" NOT NULL,
    name  TEXT COLLATE "C" NOT NULL,
    total BIGINT NOT NULL
);
ALTER TABLE tally_log REPLICA IDENTITY FULL;
