-- To delete a request, PostgreSQL looks for its retries; without an index, among all the requests there are.
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

CREATE INDEX requests_retries ON requests (parent_id) WHERE parent_id IS NOT NULL;
