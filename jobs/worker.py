"""I/O: the composition root of a worker process: builds what jobs share, runs arq beside a clock of our own, ends well.

arq hears the bell; the clock beats the heart, makes waiting rows due and, every few seconds, sweeps and finds work that
no bell told of. The sweep is the clock's and not an arq cron, so that a worker goes on without Redis, only later.
"""

import asyncio
import contextlib
import os
import signal
import socket
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, cast
from uuid import UUID

import msgspec
import structlog
from arq.worker import Worker as ArqWorker
from arq.worker import func
from redis.exceptions import RedisError

from app.enqueue import DRAIN_REQUEST, QUEUE_NAME, WRITE_REPORT, encode_job, open_queue, redis_settings, ring_report
from app.login.check import close_tools, open_tools
from app.login.listeners import list_own_listeners
from app.metrics import Metrics, serve_metrics
from app.pace import Pace
from app.reports import open_report_store
from app.seal import Keyring
from app.settings import Settings
from app.store.db import StoreError, new_id, open_pool
from app.store.workers import beat, leave_worker, make_due
from app.verify import Kit
from jobs import drain_request as draining
from jobs import sweep as sweeping
from jobs import write_report as reporting
from jobs.context import WorkerContext
from jobs.recorder import Recorder
from jobs.slots import Slots

JOB_SECONDS: Final = 120
BEAT_SECONDS: Final = 2.0
DUE_SECONDS: Final = 1.0
SEEK_SECONDS: Final = 5.0
PURGE_SECONDS: Final = 300.0
RESUME_SECONDS: Final = 1.0
FINISH_SECONDS: Final = 11.0
"""After SIGTERM: how long checks in flight may go on before they are handed back."""
FLUSH_SECONDS: Final = 3.0
CLOSE_SECONDS: Final = 1.0

_LOG: Final = structlog.get_logger()


async def run_worker(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT; then claim no more, finish or hand back what is in flight, and return."""
    worker = await _open(settings)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, worker.stopping.set)
    metrics = await serve_metrics(worker.metrics, settings.metrics_address)
    tasks = [
        asyncio.create_task(_every(RESUME_SECONDS, worker.recorder.run)),
        asyncio.create_task(_every(min(BEAT_SECONDS, settings.worker_timeout_seconds / 5), lambda: _beat(worker))),
        asyncio.create_task(_every(DUE_SECONDS, lambda: _make_due(worker))),
        asyncio.create_task(_every(SEEK_SECONDS, lambda: _seek(worker))),
        asyncio.create_task(_every(PURGE_SECONDS, lambda: sweeping.purge(worker))),
        asyncio.create_task(_hear_bells(worker)),
    ]
    _LOG.info("worker.started", worker_id=str(worker.id), slots=settings.check_concurrency)
    await worker.stopping.wait()
    await _finish(worker)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    if metrics is not None:
        await metrics.cleanup()
    await _close(worker)
    _LOG.info("worker.stopped", worker_id=str(worker.id))


async def _open(settings: Settings) -> WorkerContext:
    keyring = Keyring.from_texts(settings.secret_keys)
    db = await open_pool(settings.database_url)
    queue = open_queue(settings.redis_url)
    worker_id = new_id()

    async def on_closed(request_id: UUID) -> None:
        _LOG.info("request.closed", request_id=str(request_id))
        await ring_report(queue, request_id)

    worker = WorkerContext(
        id=worker_id,
        settings=settings,
        db=db,
        queue=queue,
        reports=open_report_store(settings, keyring.link_key()),
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
    await _beat(worker)
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
    while (
        busy := {*worker.checks, *worker.draining.values(), *worker.writing.values()}
    ) and time.monotonic() < ends_at:
        await asyncio.wait(busy, timeout=ends_at - time.monotonic())


async def _close(worker: WorkerContext) -> None:
    with contextlib.suppress(StoreError, TimeoutError):
        async with asyncio.timeout(CLOSE_SECONDS):
            await leave_worker(worker.db, worker.id)
    await worker.queue.aclose()
    await close_tools(worker.kit.tools)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(worker.db.close(), CLOSE_SECONDS)


async def _beat(worker: WorkerContext) -> None:
    await beat(worker.db, worker.id, socket.gethostname(), os.getpid(), worker.settings.check_concurrency)
    worker.note_beat(time.monotonic())
    worker.metrics.checks_in_flight.set(len(worker.checks))


async def _make_due(worker: WorkerContext) -> None:
    for request_id in await make_due(worker.db):
        _drain_here(worker, request_id)


async def _seek(worker: WorkerContext) -> None:
    """Do what no bell told of. Here and not by a bell, which a worker might hear that is busy with it already."""
    await sweeping.sweep(worker)
    drains, reports = await sweeping.find_work(worker)
    for request_id in drains:
        _drain_here(worker, request_id)
    for request_id in reports:
        _write_here(worker, request_id)


def _drain_here(worker: WorkerContext, request_id: UUID) -> None:
    """Start a drain in this process, bell or no bell."""
    task = asyncio.create_task(draining.drain_request(worker, request_id))
    worker.drains.add(task)
    task.add_done_callback(worker.drains.discard)


def _write_here(worker: WorkerContext, request_id: UUID) -> None:
    """Begin to write a report in this process, one that is long in the making only once."""
    if request_id not in worker.writing:
        task = worker.writing[request_id] = asyncio.create_task(_write_report(worker, request_id))
        task.add_done_callback(lambda _: worker.writing.pop(request_id))


async def _write_report(worker: WorkerContext, request_id: UUID) -> None:
    with contextlib.suppress(StoreError):  # the sweep comes back to it
        await reporting.write_report(worker.db, worker.reports, request_id)


async def _every(seconds: float, act: Callable[[], Awaitable[None]]) -> None:
    """Do something again and again; a failure is logged and the next turn comes all the same."""
    while True:
        try:
            await act()
        except Exception as error:  # noqa: BLE001 - a composition root: the clock must not stop
            _LOG.warning("clock.failed", error=type(error).__name__, detail=str(error))
        await asyncio.sleep(seconds)


async def _hear_bells(worker: WorkerContext) -> None:
    """Run arq; where Redis is away for longer than arq bears, begin anew."""
    while True:
        arq = _make_arq_worker(worker)
        try:
            await arq.async_run()
        except (RedisError, OSError, TimeoutError) as error:
            _LOG.warning("bells.away", error=type(error).__name__)
        finally:
            with contextlib.suppress(RedisError, OSError, asyncio.CancelledError):
                await arq.close()
        await asyncio.sleep(2)


def _make_arq_worker(worker: WorkerContext) -> ArqWorker:
    async def drain(_ctx: dict[str, Any], request_id: str) -> None:
        await draining.drain_request(worker, UUID(request_id))

    async def write(_ctx: dict[str, Any], request_id: str) -> None:
        await _write_report(worker, UUID(request_id))

    return ArqWorker(
        functions=[func(cast(Any, drain), name=DRAIN_REQUEST), func(cast(Any, write), name=WRITE_REPORT)],
        queue_name=QUEUE_NAME,
        redis_settings=redis_settings(worker.settings.redis_url, is_patient=True),
        job_serializer=encode_job,
        job_deserializer=msgspec.msgpack.decode,
        handle_signals=False,
        max_jobs=100,
        queue_read_limit=2000,
        poll_delay=0.1,
        job_timeout=JOB_SECONDS,
        keep_result=0,
        health_check_interval=30,
        log_results=False,
    )
