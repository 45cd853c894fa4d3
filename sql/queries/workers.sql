-- name: beat :exec
-- A worker lives; one that was thought dead comes back.
-- params: id uuid, host text, pid integer, slots integer
INSERT INTO workers (id, host, pid, slots) VALUES ($1, $2, $3, $4)
ON CONFLICT (id) DO UPDATE SET beat_at = now();

-- name: bury_workers :many
-- Forget workers that have been silent for too long, by the word of one that has not; their drains go with them.
-- params: id uuid, silence interval
DELETE FROM workers WHERE beat_at < now() - $2::interval
    AND EXISTS (SELECT FROM workers w WHERE w.id = $1 AND w.beat_at > now() - $2 / 2)
RETURNING id;

-- name: end_drain :exec
-- A worker claims no more rows of a request.
-- params: request_id uuid, worker_id uuid
DELETE FROM drains WHERE request_id = $1 AND worker_id = $2;

-- name: end_other_drains :exec
-- Forget drains of a worker that it does not run any more: PostgreSQL was away when they ended.
-- params: worker_id uuid, request_ids uuid[]
DELETE FROM drains WHERE worker_id = $1 AND request_id <> ALL ($2);

-- name: free_lost_rows :many
-- Give back rows of a living worker that it does not know of: the answer to its claim was lost, or their records refused.
-- params: worker_id uuid, age interval, request_ids uuid[], rows integer[]
UPDATE request_rows r SET state = 'queued', worker_id = NULL
WHERE r.worker_id = $1 AND r.state = 'checking' AND r.claimed_at < now() - $2::interval
    AND NOT EXISTS (SELECT FROM unnest($3::uuid[], $4::integer[]) AS h (request_id, row)
        WHERE h.request_id = r.request_id AND h.row = r.row)
RETURNING r.request_id, r.row;

-- name: free_rows :many
-- Give back the rows of workers that are no more. Their logins stay counted: nobody knows what was sent.
-- params:
WITH orphan AS (
    SELECT request_id, row FROM request_rows o
    WHERE o.state = 'checking' AND NOT EXISTS (SELECT FROM workers w WHERE w.id = o.worker_id)
    FOR UPDATE SKIP LOCKED
)
UPDATE request_rows r SET state = 'queued', worker_id = NULL
FROM orphan o WHERE r.request_id = o.request_id AND r.row = o.row
RETURNING r.request_id, r.row;

-- name: leave_worker :exec
-- A worker ends by itself.
-- params: id uuid
DELETE FROM workers WHERE id = $1;

-- name: list_own_rows :many
-- The rows that a worker checks, each with the attempt.
-- params: worker_id uuid
SELECT request_id, row, attempt FROM request_rows WHERE worker_id = $1 AND state = 'checking';

-- name: list_queued_keys :many
-- Whose doors the next queued rows of a request knock at; none: no row of it may be claimed now.
-- params: request_id uuid, scan bigint, most bigint
SELECT DISTINCT pace_key FROM (
    SELECT pace_key FROM request_rows
    WHERE request_id = $1 AND state = 'queued'
        AND EXISTS (SELECT FROM requests WHERE id = $1 AND cancelled_at IS NULL)
    ORDER BY row LIMIT $2
) AS queued
LIMIT $3;

-- name: list_reports_to_write :many
-- Requests whose rows have all ended some time ago and whose report is not written: nobody heard the bell, or it failed.
-- params: age interval
SELECT id FROM requests WHERE state = 'reporting' AND closed_at < now() - $1::interval ORDER BY closed_at LIMIT 100;

-- name: list_requests_to_drain :many
-- Requests with claimable rows that a worker does not drain, oldest first.
-- params: worker_id uuid
SELECT q.id FROM requests q
WHERE q.state IN ('queued', 'processing') AND q.cancelled_at IS NULL
    AND EXISTS (SELECT FROM request_rows r WHERE r.request_id = q.id AND r.state = 'queued')
    AND NOT EXISTS (SELECT FROM drains d WHERE d.request_id = q.id AND d.worker_id = $1)
ORDER BY q.created_at LIMIT 100;

-- name: make_due :many
-- Rows that have waited long enough may be claimed again.
-- params:
WITH ripe AS (
    SELECT request_id, row FROM request_rows WHERE state = 'waiting' AND due_at <= now()
    FOR UPDATE SKIP LOCKED
), due AS (
    UPDATE request_rows r SET state = 'queued', due_at = NULL
    FROM ripe i WHERE r.request_id = i.request_id AND r.row = i.row
    RETURNING r.request_id
)
SELECT DISTINCT request_id FROM due;

-- name: start_drain :one
-- A worker begins to claim rows of a request. `others`: how many more workers could help.
-- params: request_id uuid, worker_id uuid
WITH mine AS (
    INSERT INTO drains (request_id, worker_id) VALUES ($1, $2)
    ON CONFLICT DO NOTHING RETURNING 1
)
SELECT EXISTS (SELECT FROM mine) AS is_new,
    (SELECT count(*) FROM workers w WHERE w.id <> $2
        AND NOT EXISTS (SELECT FROM drains d WHERE d.worker_id = w.id AND d.request_id = $1))::integer AS others;
