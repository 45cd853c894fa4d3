-- name: get_caller :one
-- Who a living API key belongs to, and what it may do; with a request of that workspace, where one is named.
-- params: key_hash bytea, request_id uuid
SELECT k.id AS key_id, w.id AS home_id, w.name AS workspace, k.scopes, q.id, q.workspace_id, q.kind, q.parent_id, q.name,
    q.save, q.on_existing, q.auto_correct, q.callback_url, q.columns, q.state, q.data_key, q.total_count, q.pending_count,
    q.connected_count, q.failed_count, q.invalid_count, q.duplicate_count, q.skipped_count, q.cancelled_count, q.version,
    q.created_at, q.started_at, q.retry_until, q.cancelled_at, q.closed_at, q.finished_at, q.expires_at, q.report_path,
    q.report_sha256, q.report_row_count, q.report_failed_at
FROM api_keys k JOIN workspaces w ON w.id = k.workspace_id
LEFT JOIN requests q ON q.workspace_id = w.id AND q.id = $2
WHERE k.key_hash = $1 AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > now());

-- name: get_workspace :one
-- A workspace by its id.
-- params: id uuid
SELECT id, name, data_key FROM workspaces WHERE id = $1;

-- name: insert_api_key :one
-- A new API key; only its hash is kept.
-- params: id uuid, workspace_id uuid, name text, prefix text, key_hash bytea, scopes text[], expires_at timestamptz
INSERT INTO api_keys (id, workspace_id, name, prefix, key_hash, scopes, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7)
RETURNING id;

-- name: insert_workspace :one
-- The workspace of that name, made where it is missing.
-- params: id uuid, name text, data_key bytea
INSERT INTO workspaces (id, name, data_key) VALUES ($1, $2, $3)
ON CONFLICT (name) DO UPDATE SET name = excluded.name
RETURNING id, name, data_key;

-- name: list_api_keys :many
-- All keys of all workspaces, oldest first.
-- params:
SELECT k.id, w.name AS workspace, k.name, k.prefix, k.scopes, k.created_at, k.expires_at, k.revoked_at
FROM api_keys k JOIN workspaces w ON w.id = k.workspace_id
ORDER BY k.created_at, k.id;

-- name: list_data_keys :many
-- Every wrapped data key there is, with its owner.
-- params:
SELECT 'workspaces' AS owner, id, data_key FROM workspaces
UNION ALL
SELECT 'requests' AS owner, id, data_key FROM requests WHERE data_key IS NOT NULL;

-- name: revoke_api_key :many
-- Revoke the keys whose id or shown prefix is given; revoked ones stay as they are.
-- params: id_or_prefix text
UPDATE api_keys SET revoked_at = now()
WHERE (id::text = $1 OR prefix = $1) AND revoked_at IS NULL
RETURNING id, prefix;

-- name: rewrap_request_key :exec
-- Put a data key wrapped anew in the place of the old, unless it changed meanwhile.
-- params: id uuid, old bytea, new bytea
UPDATE requests SET data_key = $3 WHERE id = $1 AND data_key = $2;

-- name: rewrap_workspace_key :exec
-- Put a data key wrapped anew in the place of the old, unless it changed meanwhile.
-- params: id uuid, old bytea, new bytea
UPDATE workspaces SET data_key = $3 WHERE id = $1 AND data_key = $2;
