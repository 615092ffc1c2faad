-- Nothing: only in PostgreSQL events are kept by day, see docs/adr/0026-events-by-day.md. Both have the same versions.
SELECT 1;
