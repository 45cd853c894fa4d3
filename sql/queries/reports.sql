-- name: get_last_row :one
-- The number of a request's last row; 0: it has none.
-- params: request_id uuid
SELECT coalesce((SELECT row FROM request_rows WHERE request_id = $1 ORDER BY row DESC LIMIT 1), 0) AS last_row;

-- name: list_report_lines :many
-- What a report says of a stretch of rows besides their sides, in input order.
-- params: request_id uuid, after_row integer, last_row integer, outcome text, with_extra boolean
SELECT row, external_id, email, coalesce(outcome, '') AS outcome, account_id,
    smtp_host, smtp_port, smtp_encryption, imap_host, imap_port, imap_encryption,
    coalesce(duplicate_of, 0) AS duplicate_of, attempt - put_off_count AS attempts, duration_ms, checked_at,
    nullif(corrections, '[]') AS corrections, nullif(errors, '[]') AS errors,
    CASE WHEN $5 THEN nullif(extra, '{}') END AS extra
FROM request_rows
WHERE request_id = $1 AND row > $2 AND row <= $3
    AND ($4 = '' OR outcome = $4 OR ($4 = 'pending' AND outcome IS NULL))
ORDER BY row;

-- name: list_report_sides :many
-- What a report says of the sides of a stretch of rows; many rows of one host come to the same, which is told once.
-- params: request_id uuid, after_row integer, last_row integer
SELECT protocol, array_agg(row) AS rows, status, code, remedy, reply, host, port, encryption,
    nullif(corrections, '[]') AS corrections
FROM checks
WHERE request_id = $1 AND row > $2 AND row <= $3
GROUP BY protocol, status, code, remedy, reply, host, port, encryption, corrections;
