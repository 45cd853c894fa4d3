-- The whole schema of bulk-connect. Migrations in migrations/ lead here; a test compares.
-- A request is one POST or file; its rows are claimed, checked and recorded; accounts outlive it.

CREATE TABLE workspaces (
    id uuid PRIMARY KEY,
    name text NOT NULL UNIQUE CHECK (name <> ''),
    data_key bytea NOT NULL, -- wrapped by one of SECRET_KEYS; seals the workspace's accounts
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE api_keys (
    id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    name text NOT NULL DEFAULT '',
    prefix text NOT NULL, -- the first characters, shown so that a person can tell keys apart
    key_hash bytea NOT NULL UNIQUE, -- SHA-256 of the whole key
    scopes text[] NOT NULL CHECK (cardinality(scopes) > 0),
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz, -- NULL: never
    revoked_at timestamptz -- NULL: not revoked
);

CREATE TABLE requests (
    id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    kind text NOT NULL DEFAULT 'connect' CHECK (kind IN ('connect', 'retry', 'reconnect', 'single')),
    parent_id uuid REFERENCES requests (id) ON DELETE SET NULL, -- the request this one retries; NULL: none
    name text NOT NULL DEFAULT '',
    save text NOT NULL CHECK (save IN ('connected', 'all', 'none')),
    on_existing text NOT NULL CHECK (on_existing IN ('update', 'skip', 'fail')),
    auto_correct boolean NOT NULL,
    callback_url text NOT NULL DEFAULT '',
    columns text[] NOT NULL DEFAULT '{}', -- unknown columns, carried into the report in this order
    state text NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'processing', 'reporting', 'done')),
    data_key bytea, -- wrapped; seals the rows' secrets; NULL: destroyed
    total_count integer NOT NULL CHECK (total_count > 0),
    pending_count integer NOT NULL CHECK (pending_count >= 0),
    connected_count integer NOT NULL DEFAULT 0 CHECK (connected_count >= 0),
    failed_count integer NOT NULL DEFAULT 0 CHECK (failed_count >= 0),
    invalid_count integer NOT NULL DEFAULT 0 CHECK (invalid_count >= 0),
    duplicate_count integer NOT NULL DEFAULT 0 CHECK (duplicate_count >= 0),
    skipped_count integer NOT NULL DEFAULT 0 CHECK (skipped_count >= 0),
    cancelled_count integer NOT NULL DEFAULT 0 CHECK (cancelled_count >= 0),
    version bigint NOT NULL DEFAULT 1, -- grows with every visible change
    created_at timestamptz NOT NULL DEFAULT now(),
    started_at timestamptz, -- first claim; NULL: not yet
    retry_until timestamptz, -- end of the retry budget, set with started_at
    cancelled_at timestamptz, -- NULL: nobody cancelled it
    closed_at timestamptz, -- the last row was recorded; NULL: rows are pending
    finished_at timestamptz, -- the report is written; NULL: not yet
    expires_at timestamptz NOT NULL, -- the request, its rows and its report are deleted after this
    report_path text, -- key in the report store; NULL: not written
    report_sha256 bytea, -- of the file's bytes; NULL as report_path
    report_row_count integer, -- lines without the header; NULL as report_path
    report_failed_at timestamptz, -- since when it could not be written; NULL: no trouble with it
    CONSTRAINT requests_books_balance CHECK (total_count = pending_count + connected_count + failed_count
        + invalid_count + duplicate_count + skipped_count + cancelled_count),
    CONSTRAINT requests_report_whole CHECK ((report_path IS NULL) = (report_sha256 IS NULL)
        AND (report_path IS NULL) = (report_row_count IS NULL)),
    CONSTRAINT requests_done_has_report CHECK ((state = 'done') = (finished_at IS NOT NULL)),
    CONSTRAINT requests_closed_when_none_pending CHECK ((closed_at IS NOT NULL) = (pending_count = 0))
);
CREATE INDEX requests_newest ON requests (workspace_id, created_at DESC, id);
CREATE INDEX requests_open ON requests (created_at) WHERE state <> 'done';
CREATE INDEX requests_expiring ON requests (expires_at);
CREATE INDEX requests_retries ON requests (parent_id) WHERE parent_id IS NOT NULL;

CREATE TABLE accounts (
    id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    email text NOT NULL CHECK (email <> ''), -- local part as written, domain in lower case
    external_id text NOT NULL DEFAULT '',
    provider text NOT NULL DEFAULT '', -- preset's slug; empty: none known
    details jsonb NOT NULL DEFAULT '{}', -- fromName, replyTo, tags, metadata, ... as given
    sealed bytea, -- credentials under the workspace's data key; NULL: none kept
    smtp_is_token boolean NOT NULL DEFAULT false,
    imap_is_token boolean NOT NULL DEFAULT false,
    smtp_wanted boolean NOT NULL,
    smtp_username text NOT NULL,
    smtp_host text NOT NULL,
    smtp_port integer NOT NULL,
    smtp_encryption text NOT NULL CHECK (smtp_encryption IN ('', 'ssl', 'starttls', 'none')),
    smtp_code text NOT NULL DEFAULT '',
    imap_wanted boolean NOT NULL,
    imap_address text NOT NULL DEFAULT '',
    imap_username text NOT NULL,
    imap_host text NOT NULL,
    imap_port integer NOT NULL,
    imap_encryption text NOT NULL CHECK (imap_encryption IN ('', 'ssl', 'starttls', 'none')),
    imap_code text NOT NULL DEFAULT '',
    status text NOT NULL CHECK (status IN ('OK', 'INVALID_CREDENTIALS', 'CONNECTION_IMPOSSIBLE',
        'NO_ACCESS_TO_ALL_MAIL', 'TEMP_DISABLED', 'DISABLED')),
    error_count integer NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    checked_at timestamptz, -- NULL: never
    smtp_error_at timestamptz, -- last failed check of that side; NULL: none
    smtp_success_at timestamptz, -- last good check of that side; NULL: none
    imap_error_at timestamptz, -- as smtp_error_at
    imap_success_at timestamptz, -- as smtp_success_at
    UNIQUE (workspace_id, email)
);

CREATE TABLE request_rows (
    request_id uuid NOT NULL REFERENCES requests (id) ON DELETE CASCADE,
    row integer NOT NULL CHECK (row > 0), -- from 1, in input order
    email text NOT NULL,
    external_id text NOT NULL,
    provider text NOT NULL, -- preset's slug; empty: none known
    pace_key text NOT NULL, -- whose door this row knocks on; rows with one key are paced together
    state text NOT NULL CHECK (state IN ('queued', 'checking', 'waiting', 'done')),
    outcome text CHECK (outcome IN ('connected', 'failed', 'invalid', 'duplicate', 'skipped', 'cancelled')),
    smtp_wanted boolean NOT NULL,
    smtp_address text NOT NULL,
    smtp_username text NOT NULL,
    smtp_host text NOT NULL, -- empty: to be found
    smtp_port integer NOT NULL, -- 0: to be found
    smtp_encryption text NOT NULL CHECK (smtp_encryption IN ('', 'ssl', 'starttls', 'none')),
    imap_wanted boolean NOT NULL,
    imap_address text NOT NULL,
    imap_username text NOT NULL,
    imap_host text NOT NULL, -- empty: to be found
    imap_port integer NOT NULL, -- 0: to be found
    imap_encryption text NOT NULL CHECK (imap_encryption IN ('', 'ssl', 'starttls', 'none')),
    sources jsonb NOT NULL, -- {"smtp": {"host": "preset", ...}, "imap": {...}}
    sealed bytea, -- credentials under the request's data key; NULL: none given, or destroyed
    smtp_is_token boolean NOT NULL,
    imap_is_token boolean NOT NULL,
    details jsonb NOT NULL, -- carried along and given back
    extra jsonb NOT NULL, -- unknown columns by name
    errors jsonb NOT NULL, -- [{"field", "code", "message"}]
    corrections jsonb NOT NULL, -- [{"field", "given", "used", "reason"}] made before dialling
    duplicate_of integer, -- the earlier row with the same mailbox; NULL: none
    account_id uuid, -- the account it became or was; NULL: none
    attempt integer NOT NULL DEFAULT 0, -- claims so far; every write names the one it belongs to
    smtp_open boolean NOT NULL, -- this side is still to be checked
    imap_open boolean NOT NULL,
    smtp_login_count smallint NOT NULL DEFAULT 0, -- logins counted in advance, given back if not sent
    imap_login_count smallint NOT NULL DEFAULT 0,
    smtp_unanswered_count smallint NOT NULL DEFAULT 0, -- of these, those whose answer nobody saw
    imap_unanswered_count smallint NOT NULL DEFAULT 0,
    worker_id uuid, -- who checks it; NULL: nobody
    claimed_at timestamptz, -- last claim; NULL: never
    due_at timestamptz, -- when a waiting row may be claimed again; NULL: not waiting
    checked_at timestamptz, -- last record; NULL: never
    duration_ms integer NOT NULL DEFAULT 0, -- time spent checking, all attempts
    put_off_count integer NOT NULL DEFAULT 0, -- attempts that found no turn at the host, and so were no tries
    first_claimed_at timestamptz, -- first try, begins the row's retry budget; NULL: not tried yet
    PRIMARY KEY (request_id, row),
    CONSTRAINT rows_done_has_outcome CHECK ((state = 'done') = (outcome IS NOT NULL)),
    CONSTRAINT rows_checking_has_worker CHECK ((state = 'checking') = (worker_id IS NOT NULL)),
    CONSTRAINT rows_waiting_has_due CHECK ((state = 'waiting') = (due_at IS NOT NULL))
) WITH (fillfactor = 80);
CREATE INDEX request_rows_queued ON request_rows (request_id, row) INCLUDE (pace_key) WHERE state = 'queued';
CREATE INDEX request_rows_checking ON request_rows (worker_id) WHERE state = 'checking';
CREATE INDEX request_rows_waiting ON request_rows (due_at) WHERE state = 'waiting';
-- Without statistics PostgreSQL takes queued rows for rare, and uses their index.
ALTER TABLE request_rows ALTER COLUMN state SET STATISTICS 0;

CREATE TABLE checks (
    request_id uuid NOT NULL,
    row integer NOT NULL,
    protocol text NOT NULL CHECK (protocol IN ('smtp', 'imap')),
    attempt integer NOT NULL,
    status text NOT NULL CHECK (status IN ('ok', 'failed', 'skipped')),
    code text NOT NULL,
    rule text NOT NULL,
    warning text NOT NULL DEFAULT '',
    fault text NOT NULL CHECK (fault IN ('', 'user', 'provider', 'network', 'service')),
    is_retryable boolean NOT NULL,
    stage text NOT NULL CHECK (stage IN ('', 'resolve', 'connect', 'tls', 'greet', 'auth', 'select')),
    reply text NOT NULL,
    remedy text NOT NULL,
    host text NOT NULL,
    port integer NOT NULL,
    encryption text NOT NULL CHECK (encryption IN ('', 'ssl', 'starttls', 'none')),
    address text NOT NULL,
    tls_version text NOT NULL,
    certificate_names text[] NOT NULL,
    certificate_expires_at timestamptz, -- NULL: no certificate seen
    mechanism text NOT NULL,
    timings jsonb NOT NULL, -- {"resolve": ms, ...}: only the stages that were reached
    logins integer NOT NULL,
    attempts integer NOT NULL,
    corrections jsonb NOT NULL,
    checked_at timestamptz NOT NULL,
    PRIMARY KEY (request_id, row, protocol),
    FOREIGN KEY (request_id, row) REFERENCES request_rows (request_id, row) ON DELETE CASCADE
);

CREATE TABLE idempotency_keys (
    workspace_id uuid NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    key text NOT NULL, -- the caller's Idempotency-Key
    body_hash bytea NOT NULL, -- SHA-256 of the call: path, query and body
    request_id uuid NOT NULL REFERENCES requests (id) ON DELETE CASCADE, -- what the call made
    answer bytea NOT NULL, -- the body it was answered with; empty: told from the request
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (workspace_id, key)
);
CREATE INDEX idempotency_keys_oldest ON idempotency_keys (created_at);
CREATE INDEX idempotency_keys_request ON idempotency_keys (request_id);

CREATE TABLE workers (
    id uuid PRIMARY KEY,
    host text NOT NULL,
    pid integer NOT NULL,
    slots integer NOT NULL,
    started_at timestamptz NOT NULL DEFAULT now(),
    beat_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE drains (
    request_id uuid NOT NULL REFERENCES requests (id) ON DELETE CASCADE,
    worker_id uuid NOT NULL REFERENCES workers (id) ON DELETE CASCADE,
    started_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (request_id, worker_id)
);
