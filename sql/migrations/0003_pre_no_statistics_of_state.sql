-- "Queued" is always taken for rare: while all rows of a large request are, the primary key would be preferred to the
-- index of queued rows, and claims would walk over the rows that are done.
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

ALTER TABLE request_rows ALTER COLUMN state SET STATISTICS 0;
