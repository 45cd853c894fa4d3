"""I/O: requests and their rows: one transaction to accept them, cheap reads to watch them; place 5 on the line."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from app.model import Counts, OnExisting, Options, RequestStatus, Row, RowError, Side
from app.seal import Sealer, row_binding
from app.store.db import Database, NotFound, bind, transaction

_CANCEL_REQUEST: Final = bind("cancel_request")
_COUNT_REQUESTS: Final = bind("count_requests")
_COUNT_ROWS_WITH_CODE: Final = bind("count_rows_with_code")
_GET_REQUEST: Final = bind("get_request")
_GET_REQUEST_FOR_JOB: Final = bind("get_request_for_job")
_INSERT_REQUEST: Final = bind("insert_request")
_LIST_EXPIRED_REQUESTS: Final = bind("list_expired_requests")
_LIST_KNOWN_EMAILS: Final = bind("list_known_emails")
_LIST_REQUESTS: Final = bind("list_requests")
_LIST_VERSIONS: Final = bind("list_versions")
_LIST_WRITTEN_REPORTS: Final = bind("list_written_reports")
_MARK_REPORT_FAILED: Final = bind("mark_report_failed")
_MARK_REPORT_WRITTEN: Final = bind("mark_report_written")
_PURGE_REQUEST: Final = bind("purge_request")
_PURGE_SECRETS: Final = bind("purge_secrets")
_REOPEN_REPORT: Final = bind("reopen_report")
_SUM_QUEUED_ROWS: Final = bind("sum_queued_rows")

ROW_COLUMNS: Final = [
    "request_id",
    "row",
    "email",
    "external_id",
    "provider",
    "pace_key",
    "state",
    "outcome",
    "smtp_wanted",
    "smtp_address",
    "smtp_username",
    "smtp_host",
    "smtp_port",
    "smtp_encryption",
    "imap_wanted",
    "imap_address",
    "imap_username",
    "imap_host",
    "imap_port",
    "imap_encryption",
    "sources",
    "sealed",
    "smtp_is_token",
    "imap_is_token",
    "details",
    "extra",
    "errors",
    "corrections",
    "duplicate_of",
    "account_id",
    "smtp_open",
    "imap_open",
]
SLICE_ROWS: Final = 500


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """A connect request as it stands. `state` is queued, processing, reporting or done."""

    id: UUID
    workspace_id: UUID
    kind: str
    parent_id: UUID | None
    name: str
    save: str
    on_existing: str
    auto_correct: bool
    callback_url: str
    columns: tuple[str, ...]
    state: str
    data_key: bytes | None
    counts: Counts
    version: int
    created_at: datetime
    started_at: datetime | None
    retry_until: datetime | None
    cancelled_at: datetime | None
    closed_at: datetime | None
    finished_at: datetime | None
    expires_at: datetime
    report_path: str | None
    report_sha256: bytes | None
    report_row_count: int | None
    report_failed_at: datetime | None

    @property
    def status(self) -> RequestStatus:
        """Return the word that users see."""
        if self.state != "done":
            return RequestStatus.QUEUED if self.state == "queued" else RequestStatus.PROCESSING
        if self.cancelled_at is not None:
            return RequestStatus.CANCELLED
        good = self.counts.connected + self.counts.skipped + self.counts.duplicate
        return RequestStatus.COMPLETED if good == self.counts.total else RequestStatus.COMPLETED_WITH_ERRORS


async def judge_existing(
    db: Database, workspace_id: UUID, on_existing: OnExisting, rows: Sequence[Row]
) -> Sequence[Row]:
    """Mark rows whose address the workspace has already, where that matters: to be done before `insert_request`."""
    if on_existing is OnExisting.UPDATE:
        return rows
    emails = [row.email for row in rows if not row.errors]
    known = {record["email"]: record["id"] for record in await _LIST_KNOWN_EMAILS.many(db, workspace_id, emails)}
    words = "This address is an account already, and the request said onExisting=fail."
    judged = []
    for row in rows:
        one = row
        if row.email in known and not row.errors and not row.duplicate_of:
            is_refused = on_existing is OnExisting.FAIL
            errors = (RowError(row.row, "smtpEmailAddress", "exists", words),) if is_refused else ()
            one = replace(row, errors=errors, account_id=known[row.email])
        judged.append(one)
    return judged


async def insert_request(
    db: Database,
    request_id: UUID,
    workspace_id: UUID,
    options: Options,
    rows: Sequence[Row],
    columns: Sequence[str],
    *,
    data_key: bytes,
    wrapped_key: bytes,
    retention: timedelta,
    kind: str = "connect",
    parent_id: UUID | None = None,
) -> Counts:
    """Store a request and its rows, all or nothing. Returns its counts.

    Rows with errors are invalid, rows with `duplicate_of` duplicates; neither keeps secrets. Sealing and COPY take
    turns with the loop's other work.
    """
    counts = count_rows(rows)
    sealer = Sealer(data_key)
    async with transaction(db) as link:
        await _INSERT_REQUEST.run(
            link,
            *(request_id, workspace_id, kind, parent_id, options.name, options.save.value, options.on_existing.value),
            *(options.auto_correct, options.callback_url, list(columns), wrapped_key if counts.pending else None),
            *(counts.total, counts.pending, counts.invalid, counts.duplicate, counts.skipped, retention),
        )
        for start in range(0, len(rows), SLICE_ROWS):
            records = [_as_record(request_id, row, sealer) for row in rows[start : start + SLICE_ROWS]]
            await link.copy_records_to_table("request_rows", records=records, columns=ROW_COLUMNS)
            await asyncio.sleep(0)
    return counts


def count_rows(rows: Sequence[Row]) -> Counts:
    """Count rows by how they begin."""
    invalid = sum(bool(row.errors) for row in rows)
    duplicate = sum(bool(row.duplicate_of) and not row.errors for row in rows)
    skipped = sum(row.account_id is not None and not row.errors and not row.duplicate_of for row in rows)
    total = len(rows)
    return Counts(total, total - invalid - duplicate - skipped, 0, 0, invalid, duplicate, skipped, 0)


async def get_request(db: Database, workspace_id: UUID, request_id: UUID) -> RequestRecord:
    """Return a request of a workspace.

    Raises:
        NotFound: there is none with that id in that workspace.
    """
    return _read_request(await _GET_REQUEST.one(db, workspace_id, request_id))


async def get_request_for_job(db: Database, request_id: UUID) -> RequestRecord:
    """Return a request.

    Raises:
        NotFound: it is gone.
    """
    return _read_request(await _GET_REQUEST_FOR_JOB.one(db, request_id))


async def list_requests(
    db: Database,
    workspace_id: UUID,
    *,
    before: tuple[datetime, UUID] | None = None,
    limit: int = 50,
    offset: int = 0,
) -> list[RequestRecord]:
    """Return requests, newest first; those older than `before` where it is given."""
    before_at, before_id = before or (None, None)
    return [
        _read_request(record)
        for record in await _LIST_REQUESTS.many(db, workspace_id, before_at, before_id, limit, offset)
    ]


async def count_requests(db: Database, workspace_id: UUID) -> int:
    """Return how many requests a workspace has."""
    return int((await _COUNT_REQUESTS.one(db, workspace_id))["count"])


async def count_rows_with_code(db: Database, request_id: UUID, outcome: str, code: str) -> int:
    """Return how many rows ended in `code` on either side; `outcome` may be empty, or `pending`."""
    return int((await _COUNT_ROWS_WITH_CODE.one(db, request_id, outcome, code))["count"])


async def list_versions(db: Database, request_ids: Sequence[UUID]) -> dict[UUID, tuple[int, str]]:
    """Return the version and the state of each request; one that is gone is missing."""
    records = await _LIST_VERSIONS.many(db, request_ids)
    return {record["id"]: (record["version"], record["state"]) for record in records}


async def cancel_request(db: Database, workspace_id: UUID, request_id: UUID) -> tuple[int, bool]:
    """Cancel the rows that nobody checks yet. Returns how many, and whether that was the end of the request.

    Raises:
        NotFound: there is none with that id in that workspace.
    """
    record = await _CANCEL_REQUEST.one(db, workspace_id, request_id)
    if record is None:
        raise NotFound
    return record["cancelled"], record["pending_count"] == 0


async def list_written_reports(db: Database, after_id: UUID, limit: int, *, is_folder: bool) -> list[tuple[UUID, str]]:
    """Return requests after `after_id` with the path of their report. `is_folder`: machines may have one each."""
    records = await _LIST_WRITTEN_REPORTS.many(db, after_id, limit, is_folder)
    return [(record["id"], record["report_path"]) for record in records]


async def mark_report_failed(db: Database, request_id: UUID) -> None:
    """Say that the report could not be written; it is tried again."""
    await _MARK_REPORT_FAILED.run(db, request_id)


async def mark_report_written(db: Database, request_id: UUID, path: str, sha256: bytes, row_count: int) -> bool:
    """Say that the report is in the store. Returns whether this call was the one that counts."""
    return await _MARK_REPORT_WRITTEN.one(db, request_id, path, sha256, row_count) is not None


async def reopen_report(db: Database, request_id: UUID) -> None:
    """Have the report written again: its file is gone."""
    await _REOPEN_REPORT.run(db, request_id)


async def purge_secrets(db: Database, age: timedelta) -> None:
    """Destroy the data keys of requests that ended longer ago than `age`."""
    await _PURGE_SECRETS.run(db, age)


async def list_expired_requests(db: Database, limit: int = 100) -> list[tuple[UUID, str | None]]:
    """Return requests past their retention, with the path of their report."""
    return [(record["id"], record["report_path"]) for record in await _LIST_EXPIRED_REQUESTS.many(db, limit)]


async def purge_request(db: Database, request_id: UUID) -> None:
    """Delete a request with its rows."""
    await _PURGE_REQUEST.run(db, request_id)


async def sum_queued_rows(db: Database, workspace_id: UUID) -> int:
    """Return how many rows of a workspace wait for their end."""
    record = await _SUM_QUEUED_ROWS.one(db, workspace_id)
    return int(record["pending"])


def _as_record(request_id: UUID, row: Row, sealer: Sealer) -> tuple[object, ...]:
    outcome = None
    if row.errors:
        outcome = "invalid"
    elif row.duplicate_of:
        outcome = "duplicate"
    elif row.account_id is not None:
        outcome = "skipped"
    sealed = sealer.seal(row.secrets, row_binding(request_id, row.row)) if outcome is None else None
    return (
        *(request_id, row.row, row.email, row.external_id, row.provider, row.pace_key),
        *("queued" if outcome is None else "done", outcome),
        *_side_columns(row.smtp),
        *_side_columns(row.imap),
        {"smtp": dict(row.smtp.sources), "imap": dict(row.imap.sources)},
        *(sealed, row.secrets.smtp_is_token, row.secrets.imap_is_token, row.details, row.extra),
        [{"field": error.field, "code": error.code, "message": error.message} for error in row.errors],
        row.corrections,
        *(row.duplicate_of or None, row.account_id),
        *(row.smtp.wanted and outcome is None, row.imap.wanted and outcome is None),
    )


def _side_columns(side: Side) -> tuple[object, ...]:
    return (side.wanted, side.address, side.username, side.host, side.port, side.encryption or "")


def _read_request(record: Mapping[str, Any] | None) -> RequestRecord:
    if record is None:
        raise NotFound
    names = ("total", "pending", "connected", "failed", "invalid", "duplicate", "skipped", "cancelled")
    values = dict(record)
    counts = Counts(**{name: values.pop(f"{name}_count") for name in names})
    return RequestRecord(counts=counts, columns=tuple(values.pop("columns")), **values)
