-- name: get_last_row :one
-- The number of a request's last row; 0: it has none.
-- params: request_id uuid
SELECT coalesce(max(row), 0) AS last_row FROM request_rows WHERE request_id = $1;

-- name: list_report_lines :many
-- What a report says of a stretch of rows, in input order; named for each table, so that no join reads beyond it.
-- params: request_id uuid, after_row integer, last_row integer, outcome text, with_extra boolean
SELECT r.row, r.external_id, r.email, coalesce(r.outcome, '') AS outcome, r.account_id,
    r.smtp_host, r.smtp_port, r.smtp_encryption, r.imap_host, r.imap_port, r.imap_encryption,
    nullif(r.corrections, '[]') AS corrections, nullif(r.errors, '[]') AS errors,
    CASE WHEN $5 THEN nullif(r.extra, '{}') END AS extra,
    coalesce(r.duplicate_of, 0) AS duplicate_of, r.attempt - r.put_off_count AS attempts, r.duration_ms, r.checked_at,
    s.status, s.code, s.remedy, s.reply, s.host, s.port, s.encryption, nullif(s.corrections, '[]'),
    i.status, i.code, i.remedy, i.reply, i.host, i.port, i.encryption, nullif(i.corrections, '[]')
FROM request_rows r
LEFT JOIN checks s ON s.request_id = $1 AND s.row = r.row AND s.row > $2 AND s.row <= $3 AND s.protocol = 'smtp'
LEFT JOIN checks i ON i.request_id = $1 AND i.row = r.row AND i.row > $2 AND i.row <= $3 AND i.protocol = 'imap'
WHERE r.request_id = $1 AND r.row > $2 AND r.row <= $3
    AND ($4 = '' OR r.outcome = $4 OR ($4 = 'pending' AND r.outcome IS NULL))
ORDER BY r.row;
