-- name: list_report_lines :many
-- What a report says of rows, in input order: only the columns that stand in it; empty lists come as NULL.
-- params: request_id uuid, after_row integer, outcome text, with_extra boolean, most bigint
SELECT r.row, r.external_id, r.email, coalesce(r.outcome, '') AS outcome, r.account_id,
    r.smtp_host, r.smtp_port, r.smtp_encryption, r.imap_host, r.imap_port, r.imap_encryption,
    nullif(r.corrections, '[]') AS corrections, nullif(r.errors, '[]') AS errors,
    CASE WHEN $4 THEN nullif(r.extra, '{}') END AS extra,
    coalesce(r.duplicate_of, 0) AS duplicate_of, r.attempt - r.put_off_count AS attempts, r.duration_ms, r.checked_at,
    s.status, s.code, s.remedy, s.reply, s.host, s.port, s.encryption, nullif(s.corrections, '[]'),
    i.status, i.code, i.remedy, i.reply, i.host, i.port, i.encryption, nullif(i.corrections, '[]')
FROM request_rows r
LEFT JOIN checks s ON s.request_id = r.request_id AND s.row = r.row AND s.protocol = 'smtp'
LEFT JOIN checks i ON i.request_id = r.request_id AND i.row = r.row AND i.protocol = 'imap'
WHERE r.request_id = $1 AND r.row > $2
    AND ($3 = '' OR r.outcome = $3 OR ($3 = 'pending' AND r.outcome IS NULL))
ORDER BY r.row
LIMIT $5;
