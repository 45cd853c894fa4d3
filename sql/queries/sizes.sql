-- name: analyze_checks :exec
-- Have the table of sides looked at; where somebody does so already, nothing.
-- params:
ANALYZE (SKIP_LOCKED) checks;

-- name: analyze_rows :exec
-- Have the table of rows looked at; where somebody does so already, nothing.
-- params:
ANALYZE (SKIP_LOCKED) request_rows;

-- name: count_known_rows :one
-- How many rows the tables had when they were last looked at; -1: they never were.
-- params:
SELECT (SELECT reltuples FROM pg_class WHERE oid = 'request_rows'::regclass)::bigint AS rows,
    (SELECT reltuples FROM pg_class WHERE oid = 'checks'::regclass)::bigint AS checks;
