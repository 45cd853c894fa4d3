"""I/O: the finished CSV of a request into the report store; place 11 on the line.

Written twice at once it is the same file, and the first to say so in PostgreSQL counts. Where the store has no room,
the request says so, and the sweep tries again.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any, Final
from uuid import UUID

import structlog

from app.report.rows import render_header, render_rows, report_file_name
from app.reports import ReportStore, ReportStoreError
from app.store.db import NotFound, StoreError
from app.store.lines import iterate_report_lines
from app.store.requests import RequestRecord, get_request_for_job, mark_report_failed, mark_report_written
from app.store.sizes import analyze_outgrown_tables
from jobs.context import WorkerContext

_LOG: Final = structlog.get_logger()


def begin_report(worker: WorkerContext, request_id: UUID) -> None:
    """Begin to write a report as a task of this process, one that is long in the making only once."""
    if request_id not in worker.writing:
        task = worker.writing[request_id] = asyncio.create_task(_write_here(worker, request_id))
        task.add_done_callback(lambda _: worker.writing.pop(request_id))


async def _write_here(worker: WorkerContext, request_id: UUID) -> None:
    with contextlib.suppress(StoreError):  # the clock comes back to it
        await write_report(worker.db, worker.reports, request_id)


async def write_report(db: Any, reports: ReportStore, request_id: UUID) -> bool:
    """Write the report of a request whose rows have all ended. Returns whether it is there now."""
    try:
        request = await get_request_for_job(db, request_id)
    except NotFound:
        return False
    if request.state != "reporting":
        return request.state == "done"
    await analyze_outgrown_tables(db)
    path = report_path(request)
    counted = _Counted()
    try:
        sha256 = await reports.write(path, counted.blocks(db, request))
    except ReportStoreError as error:
        _LOG.error("report.not_written", request_id=str(request_id), error=str(error))
        await mark_report_failed(db, request_id)
        return False
    if not await mark_report_written(db, request_id, path, sha256, counted.lines) and await _is_purged(db, request_id):
        with contextlib.suppress(ReportStoreError):
            await reports.delete(path)
        return False
    _LOG.info("report.written", request_id=str(request_id), lines=counted.lines)
    return True


async def _is_purged(db: Any, request_id: UUID) -> bool:
    """Tell whether a request was deleted meanwhile: what was written of it must not stay."""
    try:
        await get_request_for_job(db, request_id)
    except NotFound:
        return True
    return False


def report_path(request: RequestRecord) -> str:
    """Return where a request's report is in the store; its last part is the file name that users see."""
    return f"{request.workspace_id}/{report_file_name(request.id, request.closed_at or request.created_at)}"


class _Counted:
    """Renders a report block by block and counts its lines."""

    def __init__(self) -> None:
        self.lines = 0

    async def blocks(self, db: Any, request: RequestRecord) -> AsyncIterator[bytes]:
        yield render_header(request.columns).encode()
        async for rows in iterate_report_lines(db, request.id, with_extra=bool(request.columns)):
            self.lines += len(rows)
            yield render_rows(rows, request.columns).encode()
