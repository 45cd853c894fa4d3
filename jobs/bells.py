"""I/O: hear the bells that Redis passes on: each begins a drain, or writes a report; between places 6 and 7.

A bell carries an id and nothing else. What it begins is not waited for: a hundred long drains would leave arq no ear
for the next. What was lost with Redis, or with a worker that had heard it, the clock finds.
"""

import asyncio
import contextlib
from typing import Any, Final, cast
from uuid import UUID

import msgspec
from arq.worker import Worker as ArqWorker
from arq.worker import func
from redis.exceptions import RedisError

from app.enqueue import DRAIN_REQUEST, QUEUE_NAME, WRITE_REPORT, encode_job, redis_settings
from jobs.context import WorkerContext
from jobs.drain_request import begin_drain
from jobs.write_report import begin_report

JOB_SECONDS: Final = 10
LEAVE_SECONDS: Final = 1.0
"""How long Redis is waited for when this ends; it may be away."""


async def hear_bells(worker: WorkerContext) -> None:
    """Run arq until it is cancelled, or Redis is away for longer than arq bears."""
    arq = _make_arq_worker(worker)
    try:
        await arq.async_run()
    finally:
        with contextlib.suppress(RedisError, OSError, TimeoutError, asyncio.CancelledError):
            async with asyncio.timeout(LEAVE_SECONDS):
                await arq.close()


def _make_arq_worker(worker: WorkerContext) -> ArqWorker:
    async def drain(_ctx: dict[str, Any], request_id: str) -> None:
        begin_drain(worker, UUID(request_id))

    async def write(_ctx: dict[str, Any], request_id: str) -> None:
        begin_report(worker, UUID(request_id))

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
