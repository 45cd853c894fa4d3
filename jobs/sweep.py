"""I/O: the periodic repair: what a dead worker, a lost bell or a full disk left undone is found and set going again."""

import time
from datetime import timedelta
from typing import Final
from uuid import UUID

import structlog

from app.enqueue import ring_report
from app.reports import ReportStoreError
from app.store.again import cancel_leftovers
from app.store.idempotency import purge_keys
from app.store.requests import (
    list_expired_requests,
    list_written_reports,
    purge_request,
    purge_secrets,
    reopen_report,
)
from app.store.workers import (
    bury_workers,
    end_other_drains,
    free_lost_rows,
    free_rows,
    list_reports_to_write,
    list_requests_to_drain,
    make_due,
)
from jobs.context import WorkerContext

_LOG: Final = structlog.get_logger()

LOST_SECONDS: Final = 15.0
"""How old a claim must be, at least, for its rows to be missed."""
REPORTS_LOOKED_FOR: Final = 500
UNHEARD_SECONDS: Final = 10.0
"""How long a report's bell has to be heard before any worker writes it unasked."""


async def sweep(worker: WorkerContext) -> None:
    """Bury the dead, free their rows, mend what is written of this worker itself."""
    now = time.monotonic()
    await _bury(worker)
    freed = await free_rows(worker.db)
    if freed:
        _LOG.warning("sweep.freed", rows=freed)
    await _free_lost(worker, now)
    await end_other_drains(worker.db, worker.id, worker.draining)
    await make_due(worker.db)
    for request_id in await cancel_leftovers(worker.db):
        await ring_report(worker.queue, request_id)


async def find_work(worker: WorkerContext) -> tuple[list[UUID], list[UUID]]:
    """Return requests that this worker could drain, and reports that nobody writes."""
    drains = await list_requests_to_drain(worker.db, worker.id)
    return drains, await list_reports_to_write(worker.db, timedelta(seconds=UNHEARD_SECONDS))


async def _bury(worker: WorkerContext) -> None:
    # No beat may come in between: one after an outage would make this worker look steady, and the others dead.
    async with worker.beating:
        if not worker.may_bury(time.monotonic()):
            return
        silence = timedelta(seconds=worker.settings.worker_timeout_seconds)
        buried = await bury_workers(worker.heart, worker.id, silence)
    if buried:
        _LOG.warning("sweep.buried", workers=len(buried))


async def _free_lost(worker: WorkerContext, now: float) -> None:
    """Give back rows that are this worker's in PostgreSQL and that it knows nothing of."""
    # A claim that has not come back may bring rows: only those of earlier claims can be missed.
    age = max([LOST_SECONDS, *(now - began + LOST_SECONDS for began in worker.claims.values())])
    for request_id, row in await free_lost_rows(worker.db, worker.id, timedelta(seconds=age), worker.list_held()):
        _LOG.warning("sweep.missed", request_id=str(request_id), row=row)


async def find_lost_reports(worker: WorkerContext) -> None:
    """Look whether the next reports are in the store still, and have those written again that are gone."""
    is_folder = worker.reports.is_local
    found = await list_written_reports(worker.db, worker.looked_at, REPORTS_LOOKED_FOR, is_folder=is_folder)
    for request_id, path in found:
        if await worker.reports.is_gone(path):
            _LOG.warning("report.gone", request_id=str(request_id))
            await reopen_report(worker.db, request_id)
    worker.looked_at = found[-1][0] if len(found) == REPORTS_LOOKED_FOR else UUID(int=0)


async def purge(worker: WorkerContext) -> None:
    """Destroy secrets and requests whose time is over, and what dead writers left of reports."""
    removed = await worker.reports.remove_halves()
    if removed:
        _LOG.warning("report.halves", removed=removed)
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
