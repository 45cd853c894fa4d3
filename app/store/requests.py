"""I/O: requests as they stand: cheap reads to watch them, and their ends."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from app.model import Counts, RequestStatus
from app.store.db import Database, NotFound, bind

_CANCEL_REQUEST: Final = bind("cancel_request")
_COUNT_REQUESTS: Final = bind("count_requests")
_COUNT_ROWS_WITH_CODE: Final = bind("count_rows_with_code").planned_anew()
_GET_REQUEST: Final = bind("get_request")
_GET_REQUEST_FOR_JOB: Final = bind("get_request_for_job")
_LIST_EXPIRED_REQUESTS: Final = bind("list_expired_requests")
_LIST_REQUESTS: Final = bind("list_requests")
_LIST_VERSIONS: Final = bind("list_versions")
_LIST_WRITTEN_REPORTS: Final = bind("list_written_reports")
_MARK_REPORT_FAILED: Final = bind("mark_report_failed")
_MARK_REPORT_WRITTEN: Final = bind("mark_report_written")
_PURGE_REQUEST: Final = bind("purge_request")
_PURGE_SECRETS: Final = bind("purge_secrets")
_REOPEN_REPORT: Final = bind("reopen_report")
_SUM_QUEUED_ROWS: Final = bind("sum_queued_rows")


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


async def get_request(db: Database, workspace_id: UUID, request_id: UUID) -> RequestRecord:
    """Return a request of a workspace.

    Raises:
        NotFound: there is none with that id in that workspace.
    """
    return _found(await _GET_REQUEST.one(db, workspace_id, request_id))


async def get_request_for_job(db: Database, request_id: UUID) -> RequestRecord:
    """Return a request.

    Raises:
        NotFound: it is gone.
    """
    return _found(await _GET_REQUEST_FOR_JOB.one(db, request_id))


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
        read_request(record)
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


def read_request(record: Mapping[str, Any]) -> RequestRecord:
    """Return a request from its columns."""
    names = ("total", "pending", "connected", "failed", "invalid", "duplicate", "skipped", "cancelled")
    values = dict(record)
    counts = Counts(**{name: values.pop(f"{name}_count") for name in names})
    return RequestRecord(counts=counts, columns=tuple(values.pop("columns")), **values)


def _found(record: Mapping[str, Any] | None) -> RequestRecord:
    if record is None:
        raise NotFound
    return read_request(record)
