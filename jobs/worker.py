"""I/O: the composition root of a worker process: builds what jobs share, hears bells beside a clock, and ends well."""

import asyncio
import contextlib
import signal
import time
from collections.abc import Awaitable, Callable
from typing import Final
from uuid import UUID

import structlog

from app.enqueue import open_queue, ring_report
from app.login.check import close_tools, open_tools
from app.login.listeners import list_own_listeners
from app.metrics import Metrics, serve_metrics
from app.pace import Pace
from app.reports import open_report_store
from app.seal import Keyring
from app.settings import Settings
from app.store.db import StoreError, new_id, open_pool
from app.store.workers import leave_worker
from app.task import Kit
from jobs.bells import hear_bells
from jobs.clock import beat_heart, pass_on_due_rows, seek_work
from jobs.context import WorkerContext, describe_work
from jobs.recorder import Recorder
from jobs.slots import Slots
from jobs.sweep import find_lost_reports, purge
from jobs.write_report import begin_report

BEAT_SECONDS: Final = 2.0
DUE_SECONDS: Final = 1.0
SEEK_SECONDS: Final = 5.0
PURGE_SECONDS: Final = 300.0
RESUME_SECONDS: Final = 1.0
FINISH_SECONDS: Final = 11.0
"""After SIGTERM: how long checks in flight may go on before they are handed back."""
FLUSH_SECONDS: Final = 3.0
CLOSE_SECONDS: Final = 1.0

Turns = list[tuple[float, Callable[[], Awaitable[None]]]]

_LOG: Final = structlog.get_logger()


async def run_worker(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT; then claim no more, finish or hand back what is in flight, and return."""
    worker = await _open(settings)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, worker.stopping.set)
    metrics = await serve_metrics(
        worker.metrics, settings.metrics_address, worker.kit.pace.describe, lambda: describe_work(worker)
    )
    beat_seconds = min(BEAT_SECONDS, settings.worker_timeout_seconds / 5)
    lasting: Turns = [(RESUME_SECONDS, worker.recorder.run), (beat_seconds, lambda: beat_heart(worker))]
    turns: Turns = [
        (RESUME_SECONDS, lambda: hear_bells(worker)),
        (DUE_SECONDS, lambda: pass_on_due_rows(worker)),
        (SEEK_SECONDS, lambda: seek_work(worker)),
        (PURGE_SECONDS, lambda: purge(worker)),
        (PURGE_SECONDS, lambda: find_lost_reports(worker)),
    ]
    alive = [asyncio.create_task(_every(seconds, act)) for seconds, act in lasting]
    at_work = [asyncio.create_task(_every(seconds, act)) for seconds, act in turns]
    _LOG.info("worker.started", worker_id=str(worker.id), slots=settings.check_concurrency)
    await worker.stopping.wait()
    for task in at_work:
        task.cancel()  # bells and rows that are due are for the others now
    await _finish(worker)
    for task in alive:
        task.cancel()
    await asyncio.gather(*alive, *at_work, return_exceptions=True)
    if metrics is not None:
        await metrics.cleanup()
    await _close(worker)
    _LOG.info("worker.stopped", worker_id=str(worker.id))


async def _open(settings: Settings) -> WorkerContext:
    keyring = Keyring.from_texts(settings.secret_keys)
    reports = open_report_store(settings, keyring.link_key())
    await reports.try_out(is_writer=True)
    db = await open_pool(settings.database_url, keeps_plans=True)
    queue = open_queue(settings.redis_url)
    worker_id = new_id()

    async def on_closed(request_id: UUID) -> None:
        _LOG.info("request.closed", request_id=str(request_id))
        if not await ring_report(queue, request_id):
            begin_report(worker, request_id)

    worker = WorkerContext(
        id=worker_id,
        settings=settings,
        db=db,
        heart=await open_pool(settings.database_url, most=1),
        queue=queue,
        reports=reports,
        keyring=keyring,
        kit=Kit(
            open_tools(settings, await _list_listeners(settings)),
            Pace(
                settings.provider_limits,
                patience_seconds=settings.retry_budget_seconds,
                slots=settings.check_concurrency,
            ),
            settings.check_timeout_seconds,
        ),
        slots=Slots(settings.check_concurrency),
        recorder=Recorder(db, worker_id, on_closed),
        metrics=Metrics(),
    )
    worker.metrics.watch_work(lambda: len(worker.checks), worker.recorder.count_held)
    await beat_heart(worker)
    return worker


async def _list_listeners(settings: Settings) -> frozenset[tuple[str, int]]:
    """Return where the API and /metrics listen by the same settings: no row makes a worker dial them."""
    metrics_host, _, metrics_port = settings.metrics_address.rpartition(":")
    return await list_own_listeners([(settings.host, settings.port), (metrics_host, int(metrics_port))])


async def _finish(worker: WorkerContext) -> None:
    """Let checks in flight end, hand back what does not, write what is held."""
    await _let_end(worker, FINISH_SECONDS)
    for task in list(worker.checks):
        task.cancel()
    await _let_end(worker, CLOSE_SECONDS)
    if not await worker.recorder.flush(FLUSH_SECONDS):
        _LOG.warning("worker.unwritten", note="PostgreSQL is away; the sweep frees the rows")


async def _let_end(worker: WorkerContext, seconds: float) -> None:
    """Wait until no check is in flight, no claim on its way and no report half written."""
    ends_at = time.monotonic() + seconds
    while (busy := worker.list_busy()) and time.monotonic() < ends_at:
        await asyncio.wait(busy, timeout=ends_at - time.monotonic())


async def _close(worker: WorkerContext) -> None:
    with contextlib.suppress(StoreError, TimeoutError):
        async with asyncio.timeout(CLOSE_SECONDS):
            await leave_worker(worker.db, worker.id)
    await worker.queue.aclose()
    await close_tools(worker.kit.tools)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(asyncio.gather(worker.db.close(), worker.heart.close()), CLOSE_SECONDS)


async def _every(seconds: float, act: Callable[[], Awaitable[None]]) -> None:
    """Do something again and again; a failure is logged and the next turn comes all the same."""
    while True:
        try:
            await act()
        except Exception as error:  # noqa: BLE001 - a composition root: the clock must not stop
            _LOG.warning("clock.failed", error=type(error).__name__, detail=str(error))
        await asyncio.sleep(seconds)
