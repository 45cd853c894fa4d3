-- name: claim_rows :many
-- Take rows for a worker in input order, at most `room` for each pace key; logins are counted in advance.
-- params: request_id uuid, worker_id uuid, most integer, full_keys text[], keys text[], rooms integer[], default_room integer, scan bigint, retry_budget interval, from_row integer
WITH candidate AS (
    SELECT row, pace_key FROM request_rows
    WHERE request_id = $1 AND state = 'queued' AND row >= $10
        -- Not by itself: where all rows have one key, a plan for any keys would take it for true of none.
        AND coalesce(pace_key <> ALL ($4), true)
        AND EXISTS (SELECT FROM requests WHERE id = $1 AND cancelled_at IS NULL)
    ORDER BY row LIMIT $8
), ranked AS (
    SELECT c.row, row_number() OVER (PARTITION BY c.pace_key ORDER BY c.row) AS nth, coalesce(k.room, $7::integer) AS room
    FROM candidate c LEFT JOIN unnest($5::text[], $6::integer[]) AS k (key, room) ON k.key = c.pace_key
), picked AS (
    -- One by one and by place, since a join would be planned by statistics that a fresh request does not have yet.
    -- A row that changes before it is locked has another place then: a later look takes it.
    SELECT r.place FROM (SELECT row FROM ranked WHERE nth <= room ORDER BY row LIMIT 4 * $3) w CROSS JOIN LATERAL (
        SELECT ctid AS place FROM request_rows WHERE request_id = $1 AND row = w.row AND state = 'queued'
        FOR UPDATE SKIP LOCKED
    ) r
    LIMIT $3
), started AS (
    UPDATE requests SET state = 'processing', started_at = now(), retry_until = now() + $9, version = version + 1
    WHERE id = $1 AND state = 'queued' AND EXISTS (SELECT FROM picked)
)
UPDATE request_rows r SET state = 'checking', worker_id = $2, claimed_at = now(), attempt = r.attempt + 1,
    first_claimed_at = coalesce(r.first_claimed_at, now()),
    smtp_login_count = r.smtp_login_count + r.smtp_open::integer,
    imap_login_count = r.imap_login_count + r.imap_open::integer,
    smtp_unanswered_count = r.smtp_unanswered_count + r.smtp_open::integer,
    imap_unanswered_count = r.imap_unanswered_count + r.imap_open::integer
WHERE r.ctid = ANY (ARRAY(SELECT place FROM picked))
RETURNING r.row, r.email, r.external_id, r.provider, r.pace_key, r.smtp_wanted, r.smtp_address, r.smtp_username,
    r.smtp_host, r.smtp_port, r.smtp_encryption, r.imap_wanted, r.imap_address, r.imap_username, r.imap_host,
    r.imap_port, r.imap_encryption, r.sources, r.sealed, r.smtp_is_token, r.imap_is_token, r.details, r.attempt,
    r.smtp_open, r.imap_open, r.smtp_login_count, r.imap_login_count, r.smtp_unanswered_count, r.imap_unanswered_count,
    r.duration_ms, r.put_off_count, r.first_claimed_at, r.claimed_at,
    (SELECT row FROM request_rows WHERE request_id = $1 AND state = 'queued' AND row >= $10 ORDER BY row LIMIT 1)
        AS first_row;

-- name: list_open_checks :many
-- What sides that are settled ended in, for rows of which the other side is tried again.
-- params: request_id uuid, rows integer[]
SELECT row, protocol, status, code, rule, warning, fault, is_retryable, stage, reply, remedy, host, port, encryption,
    address, tls_version, certificate_names, certificate_expires_at, mechanism, timings, logins, attempts, corrections
FROM checks WHERE ctid = ANY (ARRAY(
    -- By place, as `claim_rows` finds rows, and for its reason.
    SELECT k.place FROM unnest($2::integer[]) AS w (row) CROSS JOIN LATERAL (
        SELECT ctid AS place FROM checks WHERE request_id = $1 AND row = w.row OFFSET 0
    ) k
));

-- name: record_results :many
-- Record a block of checked rows: rows, sides and counts in one statement; late writers change nothing.
-- params: worker_id uuid, rows json, sides json
WITH item AS (
    SELECT * FROM json_to_recordset($2) AS i (request_id uuid, row integer, attempt integer, state text, outcome text,
        due_at timestamptz, duration_ms integer, smtp_open boolean, imap_open boolean, smtp_login_back integer,
        imap_login_back integer, smtp_answered integer, imap_answered integer, is_put_off integer)
), changed AS (
    UPDATE request_rows r SET state = i.state, outcome = i.outcome, due_at = i.due_at, worker_id = NULL,
        checked_at = now(), duration_ms = r.duration_ms + i.duration_ms,
        smtp_open = i.smtp_open, imap_open = i.imap_open,
        smtp_login_count = r.smtp_login_count - i.smtp_login_back,
        imap_login_count = r.imap_login_count - i.imap_login_back,
        smtp_unanswered_count = r.smtp_unanswered_count - i.smtp_answered,
        imap_unanswered_count = r.imap_unanswered_count - i.imap_answered,
        put_off_count = r.put_off_count + i.is_put_off,
        -- The budget begins with the first try.
        first_claimed_at = CASE WHEN r.put_off_count + i.is_put_off < r.attempt THEN r.first_claimed_at END,
        sealed = CASE WHEN i.outcome = 'connected' THEN NULL ELSE r.sealed END
    FROM item i
    WHERE r.request_id = i.request_id AND r.row = i.row AND r.attempt = i.attempt
        AND r.worker_id = $1 AND r.state = 'checking'
    RETURNING r.request_id, r.row, r.attempt, r.outcome
), kept AS (
    INSERT INTO checks (request_id, row, protocol, attempt, status, code, rule, warning, fault, is_retryable, stage,
        reply, remedy, host, port, encryption, address, tls_version, certificate_names, certificate_expires_at,
        mechanism, timings, logins, attempts, corrections, checked_at)
    SELECT s.request_id, s.row, s.protocol, c.attempt, s.status, s.code, s.rule, s.warning, s.fault, s.is_retryable,
        s.stage, s.reply, s.remedy, s.host, s.port, s.encryption, s.address, s.tls_version, s.certificate_names,
        s.certificate_expires_at, s.mechanism, s.timings, s.logins, s.attempts, s.corrections, now()
    FROM json_to_recordset($3) AS s (request_id uuid, row integer, protocol text, status text, code text, rule text,
        warning text, fault text, is_retryable boolean, stage text, reply text, remedy text, host text, port integer,
        encryption text, address text, tls_version text, certificate_names text[], certificate_expires_at timestamptz,
        mechanism text, timings jsonb, logins integer, attempts integer, corrections jsonb)
    JOIN changed c USING (request_id, row)
    ON CONFLICT (request_id, row, protocol) DO UPDATE SET attempt = excluded.attempt, status = excluded.status,
        code = excluded.code, rule = excluded.rule, warning = excluded.warning, fault = excluded.fault,
        is_retryable = excluded.is_retryable, stage = excluded.stage, reply = excluded.reply,
        remedy = excluded.remedy, host = excluded.host, port = excluded.port, encryption = excluded.encryption,
        address = excluded.address, tls_version = excluded.tls_version,
        certificate_names = excluded.certificate_names, certificate_expires_at = excluded.certificate_expires_at,
        mechanism = excluded.mechanism, timings = excluded.timings, logins = excluded.logins,
        attempts = excluded.attempts, corrections = excluded.corrections, checked_at = excluded.checked_at
), ended AS (
    SELECT request_id, count(*)::integer AS n,
        count(*) FILTER (WHERE outcome = 'connected')::integer AS connected,
        count(*) FILTER (WHERE outcome = 'failed')::integer AS failed
    FROM changed WHERE outcome IS NOT NULL GROUP BY request_id
), counted AS (
    UPDATE requests q SET pending_count = q.pending_count - e.n, connected_count = q.connected_count + e.connected,
        failed_count = q.failed_count + e.failed, version = q.version + 1,
        closed_at = CASE WHEN q.pending_count = e.n THEN now() END,
        state = CASE WHEN q.pending_count = e.n THEN 'reporting' ELSE q.state END,
        data_key = CASE WHEN q.pending_count = e.n AND q.save = 'none' THEN NULL ELSE q.data_key END
    FROM ended e WHERE q.id = e.request_id
    RETURNING q.id, q.pending_count
)
SELECT c.request_id, c.row, coalesce(q.pending_count = 0, false) AS closed
FROM changed c LEFT JOIN counted q ON q.id = c.request_id AND c.outcome IS NOT NULL;
