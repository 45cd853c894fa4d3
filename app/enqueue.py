"""I/O: ring the bell: an arq job carries an id and nothing else; place 6 on the line.

PostgreSQL is the truth. A bell that is lost costs time: the sweep rings again.
"""

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote, urlsplit
from uuid import UUID

import msgspec
import structlog
from arq.connections import ArqRedis, RedisSettings
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

DRAIN_REQUEST: Final = "drain_request"
WRITE_REPORT: Final = "write_report"
QUEUE_NAME: Final = "bulk-connect"
ANSWER_SECONDS: Final = 1.0
AWAY_SECONDS: Final = 2.0
"""After Redis failed to answer: how long it is not asked."""

_LOG: Final = structlog.get_logger()


class QueueError(Exception):
    """Redis cannot be reached, or would not take the bell."""


@dataclass(slots=True)
class Queue:
    """Where bells are rung. Redis is first spoken to when one rings, and left in peace for a while when it is away."""

    redis: ArqRedis
    _asks_again_at: float = 0.0

    @contextlib.asynccontextmanager
    async def asking(self) -> AsyncIterator[ArqRedis]:
        """Yield Redis for one question.

        Raises:
            QueueError: it is away, or does not answer in time.
        """
        if time.monotonic() < self._asks_again_at:
            raise QueueError("away")
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                yield self.redis
        except (RedisError, OSError, TimeoutError) as error:
            self._asks_again_at = time.monotonic() + AWAY_SECONDS
            raise QueueError(type(error).__name__) from None

    async def aclose(self) -> None:
        with contextlib.suppress(RedisError, OSError):
            await self.redis.aclose()


def redis_settings(url: str, *, is_patient: bool) -> RedisSettings:
    """Return arq's settings for a URL: `from_dsn` keeps `%40` in passwords and drops the check of host names.

    `is_patient`: a worker outlives Redis being away; the API answers at once instead.
    """
    parts = urlsplit(url)
    settings = RedisSettings(
        database=_database(parts.path if parts.scheme != "unix" else "", parts.query),
        username=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
        conn_timeout=5,
        conn_retries=0,
    )
    if parts.scheme == "unix":
        settings.unix_socket_path = parts.path
    else:
        settings.host, settings.port = parts.hostname or "localhost", parts.port or 6379
        settings.ssl = parts.scheme == "rediss"
        settings.ssl_check_hostname = settings.ssl
    if is_patient:
        settings.conn_retries, settings.conn_retry_delay = 30, 1
        settings.retry_on_timeout = True
        settings.retry_on_error = [RedisConnectionError, RedisTimeoutError, OSError]
        settings.retry = Retry(ExponentialBackoff(cap=2, base=0.1), 20)
    return settings


def open_queue(redis_url: str) -> Queue:
    """Return the bell; nothing is connected before it rings."""
    settings = redis_settings(redis_url, is_patient=False)
    redis = ArqRedis(
        host=settings.host,
        port=settings.port,
        unix_socket_path=settings.unix_socket_path,
        db=settings.database,
        username=settings.username,
        password=settings.password,
        ssl=settings.ssl,
        ssl_check_hostname=settings.ssl_check_hostname,
        socket_connect_timeout=ANSWER_SECONDS,
        encoding="utf8",
        job_serializer=encode_job,
        job_deserializer=msgspec.msgpack.decode,
        default_queue_name=QUEUE_NAME,
    )
    return Queue(redis)


async def ring_drain(queue: Queue, request_id: UUID, *, defer_seconds: float = 0.0) -> bool:
    """Ask for a drain of a request. Returns whether the bell was heard; a lost one is found by the sweep."""
    return await _ring(queue, DRAIN_REQUEST, request_id, secrets.token_hex(4), defer_seconds)


async def ring_report(queue: Queue, request_id: UUID) -> bool:
    """Ask for the report of a request; one bell at a time is enough."""
    return await _ring(queue, WRITE_REPORT, request_id, "report", 0.0)


def encode_job(job: Any) -> bytes:
    """Write a job for the queue: msgpack, never pickle."""
    return msgspec.msgpack.encode(job, enc_hook=repr)


async def _ring(queue: Queue, name: str, request_id: UUID, suffix: str, defer_seconds: float) -> bool:
    try:
        async with queue.asking() as redis:
            await redis.enqueue_job(
                name, str(request_id), _job_id=f"{name}:{request_id}:{suffix}", _defer_by=defer_seconds or None
            )
    except QueueError as error:
        _LOG.warning("bell.lost", job=name, request_id=str(request_id), error=str(error))
        return False
    return True


def _database(path: str, query: str) -> int:
    number = path.strip("/") or next((part[3:] for part in query.split("&") if part.startswith("db=")), "")
    return int(number) if number.isdigit() else 0
