"""I/O: what a worker does by the clock: beat its heart, make waiting rows due, sweep, do what no bell told of.

It is not arq's cron, so that a worker goes on without Redis, only later.
"""

import os
import socket
import time
from typing import Final

import structlog

from app.store.workers import beat, list_own_rows, make_due
from jobs.context import WorkerContext
from jobs.drain_request import begin_drain
from jobs.sweep import find_work, sweep
from jobs.write_report import begin_report

_LOG: Final = structlog.get_logger()


async def beat_heart(worker: WorkerContext) -> None:
    """Say that this worker lives; after a gap in which it may have been taken for dead, let go of what it lost."""
    async with worker.beating:
        await beat(worker.heart, worker.id, socket.gethostname(), os.getpid(), worker.settings.check_concurrency)
        is_gap = worker.note_beat(time.monotonic())
    if is_gap:
        await let_go(worker)
    worker.metrics.count_hosts(worker.kit.pace.count_states())


async def pass_on_due_rows(worker: WorkerContext) -> None:
    """Let rows that have waited long enough be claimed, here for a start."""
    for request_id in await make_due(worker.db):
        begin_drain(worker, request_id)


async def seek_work(worker: WorkerContext) -> None:
    """Do what no bell told of. Here and not by a bell, which a worker might hear that is busy with it already."""
    await let_go(worker)
    await sweep(worker)
    drains, reports = await find_work(worker)
    for request_id in drains:
        begin_drain(worker, request_id)
    for request_id in reports:
        begin_report(worker, request_id)


async def let_go(worker: WorkerContext) -> None:
    """Stop checks whose rows are this worker's no more: another makes their logins now, and counts them."""
    running = dict(worker.checks)
    if not running:
        return
    own = await list_own_rows(worker.db, worker.id)
    for task, row in running.items():
        if (row.request_id, row.row, row.attempt) not in own and not task.done():
            _LOG.warning("check.lost", request_id=str(row.request_id), row=row.row)
            task.cancel()
