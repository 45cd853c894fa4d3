-- A request says so when its report could not be written. Beside the version before, which leaves it empty.
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

ALTER TABLE requests ADD COLUMN report_failed_at timestamptz;
