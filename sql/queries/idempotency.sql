-- name: get_idempotency_key :one
-- What was answered to a call with this key; one past its time is as if it had never been.
-- params: workspace_id uuid, key text, age interval
SELECT body_hash, request_id, answer FROM idempotency_keys
WHERE workspace_id = $1 AND key = $2 AND created_at > now() - $3::interval;

-- name: insert_idempotency_key :exec
-- Remember what a call was answered.
-- params: workspace_id uuid, key text, body_hash bytea, request_id uuid, answer bytea
INSERT INTO idempotency_keys (workspace_id, key, body_hash, request_id, answer) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (workspace_id, key) DO UPDATE SET body_hash = excluded.body_hash, request_id = excluded.request_id,
    answer = excluded.answer, created_at = now();

-- name: lock_idempotency_key :one
-- Hold a key until the transaction ends; false: another call holds it.
-- params: lock bigint
SELECT pg_try_advisory_xact_lock($1) AS is_ours;

-- name: purge_idempotency_keys :exec
-- Forget keys past their time.
-- params: age interval
DELETE FROM idempotency_keys WHERE created_at < now() - $1::interval;
