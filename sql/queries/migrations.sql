-- name: list_applied_migrations :many
-- The migrations that were applied, with the SHA-256 that their files had.
-- params:
SELECT name, sha256 FROM schema_migrations;

-- name: make_migration_ledger :exec
-- Make the table in which migrations are noted, in a database that has none.
-- params:
CREATE TABLE IF NOT EXISTS schema_migrations (
    name text PRIMARY KEY, sha256 bytea NOT NULL, applied_at timestamptz NOT NULL DEFAULT now()
);

-- name: note_migration :exec
-- A migration was applied.
-- params: name text, sha256 bytea
INSERT INTO schema_migrations (name, sha256) VALUES ($1, $2);

-- name: take_migration_lock :one
-- Take the lock of the one who migrates, for the session, unless somebody has it.
-- params: key bigint
SELECT pg_try_advisory_lock($1) AS is_ours;
