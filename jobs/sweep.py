"""I/O: the periodic repair: what a dead worker, a lost bell or a full disk left undone is found and set going again."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final
from uuid import UUID

import structlog

from app.enqueue import ring_drain, ring_report
from app.reports import ReportStoreError
from app.store.again import cancel_leftovers
from app.store.idempotency import purge_keys
from app.store.requests import list_expired_requests, purge_request, purge_secrets
from app.store.workers import bury_workers, free_rows, list_reports_to_ring, list_requests_to_ring, make_due
from jobs.context import WorkerContext

_LOG: Final = structlog.get_logger()

Start = Callable[[UUID], Awaitable[None]]


async def sweep(worker: WorkerContext) -> None:
    """Bury the dead, free their rows, ring for whatever can go on."""
    buried = await bury_workers(worker.db, timedelta(seconds=worker.settings.worker_timeout_seconds))
    freed = await free_rows(worker.db)
    if buried or freed:
        _LOG.warning("sweep.freed", workers=len(buried), rows=freed)
    await make_due(worker.db)
    for request_id in await cancel_leftovers(worker.db):
        await ring_report(worker.queue, request_id)


async def find_work(worker: WorkerContext) -> tuple[list[UUID], list[UUID]]:
    """Return requests to drain and reports to write."""
    return await list_requests_to_ring(worker.db), await list_reports_to_ring(worker.db)


async def ring_for_work(worker: WorkerContext, drain: Start, write: Start) -> None:
    """Ring for all that can go on. A bell that Redis does not take is answered here."""
    drains, reports = await find_work(worker)
    for request_id in drains:
        if request_id not in worker.draining and not await ring_drain(worker.queue, request_id):
            await drain(request_id)
    for request_id in reports:
        if not await ring_report(worker.queue, request_id):
            await write(request_id)


async def purge(worker: WorkerContext) -> None:
    """Destroy secrets and requests whose time is over."""
    await purge_keys(worker.db)
    await purge_secrets(worker.db, timedelta(hours=worker.settings.secret_retention_hours))
    for request_id, path in await list_expired_requests(worker.db):
        if path is not None:
            try:
                await worker.reports.delete(path)
            except ReportStoreError as error:
                _LOG.warning("purge.waits", request_id=str(request_id), error=str(error))
                continue
        await purge_request(worker.db, request_id)
