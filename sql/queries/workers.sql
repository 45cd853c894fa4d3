-- name: beat :exec
-- A worker lives; one that was thought dead comes back.
-- params: id uuid, host text, pid integer, slots integer
INSERT INTO workers (id, host, pid, slots) VALUES ($1, $2, $3, $4)
ON CONFLICT (id) DO UPDATE SET beat_at = now();

-- name: bury_workers :many
-- Forget workers that have been silent for too long; their drains go with them.
-- params: silence interval
DELETE FROM workers WHERE beat_at < now() - $1::interval RETURNING id;

-- name: end_drain :exec
-- A worker claims no more rows of a request.
-- params: request_id uuid, worker_id uuid
DELETE FROM drains WHERE request_id = $1 AND worker_id = $2;

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

-- name: has_queued_rows :one
-- Whether a request has rows that may be claimed now.
-- params: request_id uuid
SELECT EXISTS (SELECT FROM request_rows r JOIN requests q ON q.id = r.request_id
    WHERE r.request_id = $1 AND r.state = 'queued' AND q.cancelled_at IS NULL) AS has_rows;

-- name: leave_worker :exec
-- A worker ends by itself.
-- params: id uuid
DELETE FROM workers WHERE id = $1;

-- name: list_reports_to_ring :many
-- Requests whose rows have all ended and whose report is not written.
-- params:
SELECT id FROM requests WHERE state = 'reporting' ORDER BY closed_at LIMIT 100;

-- name: list_requests_to_ring :many
-- Requests with claimable rows and fewer living drains than living workers, oldest first.
-- params:
SELECT q.id FROM requests q
WHERE q.state IN ('queued', 'processing') AND q.cancelled_at IS NULL
    AND EXISTS (SELECT FROM request_rows r WHERE r.request_id = q.id AND r.state = 'queued')
    AND (SELECT count(*) FROM drains d WHERE d.request_id = q.id) < greatest(1, (SELECT count(*) FROM workers))
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
