-- name: cancel_request :one
-- Take the rows that nobody checks yet out of a request; those in flight end by themselves.
-- params: workspace_id uuid, id uuid
WITH target AS (
    SELECT id FROM requests WHERE workspace_id = $1 AND id = $2
), taken AS (
    UPDATE request_rows r SET state = 'done', outcome = 'cancelled', due_at = NULL, sealed = NULL, checked_at = now()
    FROM target t WHERE r.request_id = t.id AND r.state IN ('queued', 'waiting')
    RETURNING r.row
), counted AS (
    SELECT count(*)::integer AS n FROM taken
)
UPDATE requests q SET
    cancelled_at = CASE WHEN q.pending_count > 0 THEN coalesce(q.cancelled_at, now()) ELSE q.cancelled_at END,
    pending_count = q.pending_count - c.n,
    cancelled_count = q.cancelled_count + c.n,
    version = q.version + 1,
    closed_at = CASE WHEN q.pending_count = c.n THEN coalesce(q.closed_at, now()) END,
    state = CASE WHEN q.state IN ('queued', 'processing') AND q.pending_count = c.n THEN 'reporting' ELSE q.state END,
    data_key = CASE WHEN q.save = 'none' AND q.pending_count = c.n THEN NULL ELSE q.data_key END
FROM counted c, target t WHERE q.id = t.id
RETURNING q.id, c.n AS cancelled, q.pending_count;

-- name: count_requests :one
-- How many requests a workspace has.
-- params: workspace_id uuid
SELECT count(*)::integer AS count FROM requests WHERE workspace_id = $1;

-- name: count_rows_with_code :one
-- How many rows of a request ended in a code on either side; an empty outcome lets all through.
-- params: request_id uuid, outcome text, code text
SELECT count(DISTINCT c.row)::integer AS count
FROM checks c CROSS JOIN LATERAL (
    -- Found by its key, one by one: a join would be planned by statistics that a fresh request does not have yet.
    SELECT outcome FROM request_rows WHERE request_id = c.request_id AND row = c.row OFFSET 0
) r
WHERE c.request_id = $1 AND c.code = $3
    AND ($2 = '' OR r.outcome = $2 OR ($2 = 'pending' AND r.outcome IS NULL));

-- name: get_request :one
-- One request of a workspace, with its counts.
-- params: workspace_id uuid, id uuid
SELECT id, workspace_id, kind, parent_id, name, save, on_existing, auto_correct, callback_url, columns, state, data_key,
    total_count, pending_count, connected_count, failed_count, invalid_count, duplicate_count, skipped_count,
    cancelled_count, version, created_at, started_at, retry_until, cancelled_at, closed_at, finished_at, expires_at,
    report_path, report_sha256, report_row_count, report_failed_at
FROM requests WHERE workspace_id = $1 AND id = $2;

-- name: get_request_for_job :one
-- One request, for a job that was given its id.
-- params: id uuid
SELECT id, workspace_id, kind, parent_id, name, save, on_existing, auto_correct, callback_url, columns, state, data_key,
    total_count, pending_count, connected_count, failed_count, invalid_count, duplicate_count, skipped_count,
    cancelled_count, version, created_at, started_at, retry_until, cancelled_at, closed_at, finished_at, expires_at,
    report_path, report_sha256, report_row_count, report_failed_at
FROM requests WHERE id = $1;

-- name: insert_request :exec
-- A request whose rows are all to be checked, as far as is known; they follow by COPY in the same transaction.
-- params: id uuid, workspace_id uuid, kind text, parent_id uuid, name text, save text, on_existing text, auto_correct boolean, callback_url text, data_key bytea, total integer, retention interval
INSERT INTO requests (id, workspace_id, kind, parent_id, name, save, on_existing, auto_correct, callback_url, columns,
    data_key, total_count, pending_count, expires_at, state)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, '{}', $10, $11, $11, now() + $12, 'queued');

-- name: list_cancelled_requests :many
-- Cancelled requests of which rows are left that came back since: from a dead worker, or to be tried later.
-- params:
SELECT q.id, q.workspace_id FROM requests q
WHERE q.cancelled_at IS NOT NULL AND q.state IN ('queued', 'processing')
    AND EXISTS (SELECT FROM request_rows r WHERE r.request_id = q.id AND r.state IN ('queued', 'waiting'));

-- name: list_error_groups :many
-- What failed, by cause, side and server, with an example; some codes by the address's domain too; the largest first.
-- params: request_id uuid, codes_by_domain text[], least_rows_of_domain bigint
WITH alike AS (
    SELECT c.code, c.protocol, c.host, c.port, c.encryption, r.provider, split_part(r.email, '@', 2) AS domain,
        count(*) AS count, min(c.row) AS first_row
    FROM checks c CROSS JOIN LATERAL (
        -- Found by its key, one by one: a join would be planned by statistics that a fresh request does not have yet.
        SELECT provider, email FROM request_rows
        WHERE request_id = c.request_id AND row = c.row AND outcome = 'failed' OFFSET 0
    ) r
    WHERE c.request_id = $1 AND c.status = 'failed'
    GROUP BY 1, 2, 3, 4, 5, 6, 7
), causes AS (
    SELECT code, protocol, host, port, encryption, provider,
        CASE WHEN min(domain) = max(domain) THEN min(domain) ELSE '' END AS domain,
        sum(count)::integer AS count, min(first_row) AS first_row
    FROM alike
    GROUP BY 1, 2, 3, 4, 5, 6, CASE WHEN code = ANY($2) AND count >= $3 THEN domain ELSE '' END
    ORDER BY count DESC, first_row
    LIMIT 2000
)
SELECT g.code, g.protocol, g.host, g.port, g.encryption, g.provider, g.domain, g.count, g.first_row, c.reply
FROM causes g CROSS JOIN LATERAL (
    SELECT reply FROM checks WHERE request_id = $1 AND row = g.first_row AND protocol = g.protocol OFFSET 0
) c
ORDER BY g.count DESC, g.first_row;

-- name: list_expired_requests :many
-- Requests past their retention, with the path of their report.
-- params: most bigint
SELECT id, report_path FROM requests WHERE expires_at < now() ORDER BY expires_at LIMIT $1;

-- name: list_failed_rows :many
-- The rows of a request that failed, with what is needed to check them again.
-- params: request_id uuid
SELECT row, email, external_id, provider, pace_key, smtp_wanted, smtp_address, smtp_username, smtp_host, smtp_port,
    smtp_encryption, imap_wanted, imap_address, imap_username, imap_host, imap_port, imap_encryption, sources, sealed,
    smtp_is_token, imap_is_token, details, extra
FROM request_rows WHERE request_id = $1 AND outcome = 'failed' ORDER BY row;

-- name: list_requests :many
-- The requests of a workspace, newest first, after a given one.
-- params: workspace_id uuid, before_at timestamptz, before_id uuid, most bigint, skip bigint
SELECT id, workspace_id, kind, parent_id, name, save, on_existing, auto_correct, callback_url, columns, state, data_key,
    total_count, pending_count, connected_count, failed_count, invalid_count, duplicate_count, skipped_count,
    cancelled_count, version, created_at, started_at, retry_until, cancelled_at, closed_at, finished_at, expires_at,
    report_path, report_sha256, report_row_count, report_failed_at
FROM requests
WHERE workspace_id = $1 AND ($2::timestamptz IS NULL OR (created_at, id) < ($2, $3::uuid))
ORDER BY created_at DESC, id DESC
LIMIT $4 OFFSET $5;

-- name: list_row_results :many
-- Rows of a request in input order with what both sides ended in; empty filters let all through.
-- params: request_id uuid, after_row integer, outcome text, code text, most bigint, skip bigint
SELECT r.row, r.email, r.external_id, r.provider, r.state, r.outcome, r.account_id, r.sources, r.errors, r.corrections,
    r.extra, r.duplicate_of, r.attempt - r.put_off_count AS attempt, r.duration_ms, r.checked_at,
    r.smtp_wanted, r.smtp_host, r.smtp_port, r.smtp_encryption,
    r.imap_wanted, r.imap_host, r.imap_port, r.imap_encryption,
    s.status AS s_status, s.code AS s_code, s.rule AS s_rule, s.warning AS s_warning, s.fault AS s_fault,
    s.is_retryable AS s_is_retryable, s.stage AS s_stage, s.reply AS s_reply, s.remedy AS s_remedy, s.host AS s_host,
    s.port AS s_port, s.encryption AS s_encryption, s.address AS s_address, s.tls_version AS s_tls_version,
    s.certificate_names AS s_certificate_names, s.certificate_expires_at AS s_certificate_expires_at,
    s.mechanism AS s_mechanism, s.timings AS s_timings, s.logins AS s_logins, s.attempts AS s_attempts,
    s.corrections AS s_corrections,
    i.status AS i_status, i.code AS i_code, i.rule AS i_rule, i.warning AS i_warning, i.fault AS i_fault,
    i.is_retryable AS i_is_retryable, i.stage AS i_stage, i.reply AS i_reply, i.remedy AS i_remedy, i.host AS i_host,
    i.port AS i_port, i.encryption AS i_encryption, i.address AS i_address, i.tls_version AS i_tls_version,
    i.certificate_names AS i_certificate_names, i.certificate_expires_at AS i_certificate_expires_at,
    i.mechanism AS i_mechanism, i.timings AS i_timings, i.logins AS i_logins, i.attempts AS i_attempts,
    i.corrections AS i_corrections
FROM request_rows r
-- Found by their keys, one by one: a join would be planned by statistics that a fresh request does not have yet.
LEFT JOIN LATERAL (
    SELECT status, code, rule, warning, fault, is_retryable, stage, reply, remedy, host, port, encryption, address,
        tls_version, certificate_names, certificate_expires_at, mechanism, timings, logins, attempts, corrections
    FROM checks WHERE request_id = r.request_id AND row = r.row AND protocol = 'smtp' OFFSET 0
) s ON true
LEFT JOIN LATERAL (
    SELECT status, code, rule, warning, fault, is_retryable, stage, reply, remedy, host, port, encryption, address,
        tls_version, certificate_names, certificate_expires_at, mechanism, timings, logins, attempts, corrections
    FROM checks WHERE request_id = r.request_id AND row = r.row AND protocol = 'imap' OFFSET 0
) i ON true
WHERE r.request_id = $1 AND r.row > $2
    AND ($3 = '' OR r.outcome = $3 OR ($3 = 'pending' AND r.outcome IS NULL))
    AND ($4 = '' OR s.code = $4 OR i.code = $4)
ORDER BY r.row
LIMIT $5 OFFSET $6;

-- name: list_versions :many
-- Where requests are that somebody watches.
-- params: ids uuid[]
SELECT id, version, state FROM requests WHERE id = ANY ($1);

-- name: list_written_reports :many
-- Reports that should stay in the store, after a given one. In a folder, only while all workers are on one machine.
-- params: after_id uuid, most bigint, is_folder boolean
SELECT id, report_path FROM requests
WHERE id > $1 AND state = 'done' AND expires_at > now()
    AND NOT ($3 AND (SELECT count(DISTINCT host) FROM workers) > 1)
ORDER BY id LIMIT $2;

-- name: mark_report_failed :exec
-- The report could not be written: its request says so until it is.
-- params: id uuid
UPDATE requests SET report_failed_at = now(), version = version + 1
WHERE id = $1 AND state = 'reporting' AND report_failed_at IS NULL;

-- name: mark_report_written :one
-- The report is in the store: the request is done. Only the first writer's report counts.
-- params: id uuid, path text, sha256 bytea, lines integer
UPDATE requests SET state = 'done', finished_at = now(), version = version + 1,
    report_path = $2, report_sha256 = $3, report_row_count = $4, report_failed_at = NULL
WHERE id = $1 AND state = 'reporting'
RETURNING id;

-- name: purge_request :exec
-- Delete a request and all that hangs on it.
-- params: id uuid
DELETE FROM requests WHERE id = $1;

-- name: purge_secrets :exec
-- Destroy the data keys of requests that ended longer ago than given: what they sealed opens no more.
-- params: age interval
UPDATE requests SET data_key = NULL WHERE data_key IS NOT NULL AND closed_at < now() - $1::interval;

-- name: reopen_report :exec
-- The report's file is gone from the store: have it written again.
-- params: id uuid
UPDATE requests SET state = 'reporting', finished_at = NULL, version = version + 1,
    report_path = NULL, report_sha256 = NULL, report_row_count = NULL
WHERE id = $1 AND state = 'done';

-- name: settle_request :exec
-- All rows of a request are in: what it is now known to hold, in the transaction that inserted it.
-- params: id uuid, columns text[], pending integer, invalid integer, duplicate integer, skipped integer
UPDATE requests SET columns = $2, data_key = CASE WHEN $3 > 0 THEN data_key END,
    pending_count = $3, invalid_count = $4, duplicate_count = $5, skipped_count = $6,
    state = CASE WHEN $3 = 0 THEN 'reporting' ELSE 'queued' END, closed_at = CASE WHEN $3 = 0 THEN now() END
WHERE id = $1;

-- name: sum_queued_rows :one
-- How many rows of a workspace wait for their end.
-- params: workspace_id uuid
SELECT coalesce(sum(pending_count), 0)::integer AS pending
FROM requests WHERE workspace_id = $1 AND state IN ('queued', 'processing');
