-- name: count_accounts :one
-- How many accounts of a workspace pass the filters; empty ones let all through.
-- params: workspace_id uuid, status text, search text
SELECT count(*)::integer AS count FROM accounts
WHERE workspace_id = $1 AND ($2 = '' OR status = $2) AND ($3 = '' OR strpos(email, lower($3)) > 0);

-- name: delete_account :one
-- Delete an account of a workspace, its credentials with it.
-- params: workspace_id uuid, id uuid
DELETE FROM accounts WHERE workspace_id = $1 AND id = $2 RETURNING id, email;

-- name: get_account :one
-- One account of a workspace, without its credentials.
-- params: workspace_id uuid, id uuid
SELECT id, email, external_id, provider, details, smtp_wanted, smtp_username, smtp_host, smtp_port, smtp_encryption,
    smtp_code, imap_wanted, imap_address, imap_username, imap_host, imap_port, imap_encryption, imap_code, status,
    error_count, created_at, updated_at, checked_at, smtp_error_at, smtp_success_at, imap_error_at, imap_success_at
FROM accounts WHERE workspace_id = $1 AND id = $2;

-- name: list_accounts :many
-- The accounts of a workspace by address; empty filters let all through.
-- params: workspace_id uuid, after_email text, status text, search text, most bigint, skip bigint
SELECT id, email, external_id, provider, details, smtp_wanted, smtp_username, smtp_host, smtp_port, smtp_encryption,
    smtp_code, imap_wanted, imap_address, imap_username, imap_host, imap_port, imap_encryption, imap_code, status,
    error_count, created_at, updated_at, checked_at, smtp_error_at, smtp_success_at, imap_error_at, imap_success_at
FROM accounts
WHERE workspace_id = $1 AND email > $2 AND ($3 = '' OR status = $3) AND ($4 = '' OR strpos(email, lower($4)) > 0)
ORDER BY email LIMIT $5 OFFSET $6;

-- name: list_accounts_to_check :many
-- Accounts of a workspace by their ids, with their sealed credentials.
-- params: workspace_id uuid, ids uuid[]
SELECT id, email, external_id, provider, details, sealed, smtp_is_token, imap_is_token, smtp_wanted,
    smtp_username, smtp_host, smtp_port, smtp_encryption, imap_wanted, imap_address, imap_username, imap_host,
    imap_port, imap_encryption
FROM accounts WHERE workspace_id = $1 AND id = ANY ($2);

-- name: list_known_emails :many
-- Which of these addresses the workspace has as accounts already.
-- params: workspace_id uuid, emails text[]
SELECT email, id FROM accounts WHERE workspace_id = $1 AND email = ANY ($2);

-- name: upsert_accounts :many
-- Keep the accounts of a block of recorded rows. What failed never overwrites credentials that worked.
-- params: accounts json
WITH item AS (
    SELECT *, status NOT IN ('OK', 'NO_ACCESS_TO_ALL_MAIL') AS has_failed,
        CASE WHEN smtp_wanted AND smtp_code <> 'ok' THEN now() END AS smtp_error_at,
        CASE WHEN smtp_code = 'ok' THEN now() END AS smtp_success_at,
        CASE WHEN imap_wanted AND imap_code <> 'ok' THEN now() END AS imap_error_at,
        CASE WHEN imap_code = 'ok' THEN now() END AS imap_success_at
    FROM json_to_recordset($1) AS a (request_id uuid, row integer, id uuid, workspace_id uuid, email text,
        external_id text, provider text, details jsonb, sealed text, smtp_is_token boolean, imap_is_token boolean,
        smtp_wanted boolean, smtp_username text, smtp_host text, smtp_port integer, smtp_encryption text,
        smtp_code text, imap_wanted boolean, imap_address text, imap_username text, imap_host text,
        imap_port integer, imap_encryption text, imap_code text, status text, is_recheck boolean)
), chosen AS (
    -- One of each address, the best; in one order, so that two writers never wait for each other.
    SELECT DISTINCT ON (workspace_id, email) * FROM item ORDER BY workspace_id, email, has_failed, row
), rechecked AS (
    -- An account's own check: what it is called and opened with stays; one that is gone stays gone, and one that was
    -- changed since the check was asked for is not judged by what it was.
    UPDATE accounts a SET smtp_host = c.smtp_host, smtp_port = c.smtp_port, smtp_encryption = c.smtp_encryption,
        smtp_code = c.smtp_code, imap_host = c.imap_host, imap_port = c.imap_port, imap_encryption = c.imap_encryption,
        imap_code = c.imap_code, status = c.status,
        error_count = CASE WHEN c.has_failed THEN a.error_count + 1 ELSE 0 END, checked_at = now(),
        updated_at = CASE WHEN (a.smtp_host, a.smtp_port, a.smtp_encryption, a.imap_host, a.imap_port, a.imap_encryption)
            = (c.smtp_host, c.smtp_port, c.smtp_encryption, c.imap_host, c.imap_port, c.imap_encryption)
            THEN a.updated_at ELSE now() END,
        smtp_error_at = coalesce(c.smtp_error_at, a.smtp_error_at),
        smtp_success_at = coalesce(c.smtp_success_at, a.smtp_success_at),
        imap_error_at = coalesce(c.imap_error_at, a.imap_error_at),
        imap_success_at = coalesce(c.imap_success_at, a.imap_success_at)
    FROM chosen c JOIN requests q ON q.id = c.request_id
    WHERE c.is_recheck AND a.workspace_id = c.workspace_id AND a.email = c.email AND a.updated_at <= q.created_at
), saved AS (
    INSERT INTO accounts AS a (id, workspace_id, email, external_id, provider, details, sealed, smtp_is_token,
        imap_is_token, smtp_wanted, smtp_username, smtp_host, smtp_port, smtp_encryption, smtp_code, imap_wanted,
        imap_address, imap_username, imap_host, imap_port, imap_encryption, imap_code, status, error_count, checked_at,
        smtp_error_at, smtp_success_at, imap_error_at, imap_success_at)
    SELECT id, workspace_id, email, external_id, provider, details, decode(sealed, 'base64'), smtp_is_token,
        imap_is_token, smtp_wanted, smtp_username, smtp_host, smtp_port, smtp_encryption, smtp_code, imap_wanted,
        imap_address, imap_username, imap_host, imap_port, imap_encryption, imap_code, status, has_failed::integer,
        now(), smtp_error_at, smtp_success_at, imap_error_at, imap_success_at
    FROM chosen WHERE NOT is_recheck ORDER BY workspace_id, email
    ON CONFLICT (workspace_id, email) DO UPDATE SET external_id = excluded.external_id, provider = excluded.provider,
        details = excluded.details, sealed = coalesce(excluded.sealed, a.sealed),
        smtp_is_token = excluded.smtp_is_token, imap_is_token = excluded.imap_is_token, smtp_wanted = excluded.smtp_wanted,
        smtp_username = excluded.smtp_username, smtp_host = excluded.smtp_host, smtp_port = excluded.smtp_port,
        smtp_encryption = excluded.smtp_encryption, smtp_code = excluded.smtp_code, imap_wanted = excluded.imap_wanted,
        imap_address = excluded.imap_address, imap_username = excluded.imap_username, imap_host = excluded.imap_host,
        imap_port = excluded.imap_port, imap_encryption = excluded.imap_encryption, imap_code = excluded.imap_code,
        status = excluded.status, error_count = CASE WHEN excluded.error_count = 0 THEN 0 ELSE a.error_count + 1 END,
        updated_at = now(), checked_at = now(), smtp_error_at = coalesce(excluded.smtp_error_at, a.smtp_error_at),
        smtp_success_at = coalesce(excluded.smtp_success_at, a.smtp_success_at),
        imap_error_at = coalesce(excluded.imap_error_at, a.imap_error_at),
        imap_success_at = coalesce(excluded.imap_success_at, a.imap_success_at)
    WHERE excluded.error_count = 0 OR (a.smtp_wanted AND a.smtp_success_at IS NULL)
        OR (a.imap_wanted AND a.imap_success_at IS NULL)
    RETURNING a.id, a.workspace_id, a.email
), kept AS (
    SELECT id, workspace_id, email FROM saved
    UNION ALL
    SELECT a.id, a.workspace_id, a.email FROM accounts a JOIN chosen c USING (workspace_id, email) WHERE c.is_recheck
)
UPDATE request_rows r SET account_id = k.id
FROM kept k JOIN item i USING (workspace_id, email)
WHERE r.request_id = i.request_id AND r.row = i.row
RETURNING r.request_id, r.row, r.account_id;
