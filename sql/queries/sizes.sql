-- name: analyze_checks :exec
-- Have PostgreSQL look at the table of sides; where somebody does so already, nothing.
-- params:
ANALYZE (SKIP_LOCKED) checks;

-- name: analyze_rows :exec
-- Have PostgreSQL look at the table of rows; where somebody does so already, nothing.
-- params:
ANALYZE (SKIP_LOCKED) request_rows;

-- name: list_outgrown_tables :many
-- Tables that are more than twice as large as PostgreSQL takes them for when it plans.
-- params:
SELECT relname::text AS name FROM pg_class
WHERE oid IN ('request_rows'::regclass, 'checks'::regclass)
    AND pg_relation_size(oid) / current_setting('block_size')::bigint > 2 * greatest(relpages, 10);
