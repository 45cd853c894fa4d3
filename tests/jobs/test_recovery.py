"""How soon work goes on, with the settings of every day: after a SIGKILL, after FLUSHALL, without Redis."""

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from app.enqueue import open_queue, ring_drain
from app.model import Counts
from tests.fakes.counting import Counting, count_logins
from tests.jobs.hands import box, boxes
from tests.jobs.outage import Outage
from tests.real.line import Line, open_line, until
from tests.store.ledger import Space

AGAIN_SECONDS = 20.0
"""After a SIGKILL: until the rows of the dead are being checked again."""
GOES_ON_SECONDS = 15.0
"""After FLUSHALL."""
STOP_SECONDS = 20.0


@pytest.fixture
async def servers() -> AsyncIterator[Counting]:
    async with count_logins(0.1, 10) as book:
        yield book


@pytest.fixture
async def line(servers: Counting, database_url: str, redis_url: str, key_text: str) -> AsyncIterator[Line]:
    told = {
        "SECRET_KEYS": key_text,
        "ALLOW_PORTS": f"{servers.smtp_port},{servers.imap_port}",
        "CHECK_CONCURRENCY": "10",
    }
    with (
        tempfile.TemporaryDirectory(prefix="recovery-") as name,
        open_line(Path(name), database_url, redis_url, told) as laid,
    ):
        yield laid
        for worker in list(laid.processes):
            laid.kill(worker)  # the servers are on this loop: they could not answer while it waits


async def test_the_rows_of_a_killed_worker_are_being_checked_again_soon(
    space: Space, servers: Counting, line: Line
) -> None:
    await line.start_worker("first")
    request_id = await space.add([box(servers, number, "held") for number in range(1, 6)])

    async def is_asked() -> bool:
        return servers.asked.total() == 10

    async def is_asked_again() -> bool:
        return servers.asked.total() == 20

    await until(is_asked)
    await line.start_worker("second")
    await asyncio.sleep(5)  # what is new to a worker is not long for it
    line.kill("first")
    assert await until(is_asked_again, 40) < AGAIN_SECONDS
    servers.let_go.set()

    async def is_over() -> bool:
        return (await space.read(request_id)).counts == Counts(total=5, connected=5)

    await until(is_over)


async def test_work_goes_on_soon_after_everything_in_redis_is_lost(
    space: Space, servers: Counting, line: Line, redis_url: str
) -> None:
    queue = open_queue(redis_url)
    await line.start_worker("first")
    under_way = await space.add(boxes(servers, 400))
    await ring_drain(queue, under_way)

    async def is_under_way() -> bool:
        return (await space.read(under_way)).counts.connected > 10

    await until(is_under_way)
    waiting = await space.add(boxes(servers, 3))
    async with Redis.from_url(redis_url) as redis:
        await redis.flushall()
    at = (await space.read(under_way)).counts.connected
    began = time.monotonic()

    async def goes_on() -> bool:
        both = [(await space.read(request_id)).counts for request_id in (under_way, waiting)]
        return both[0].connected > at + 10 and both[1].connected == 3

    await until(goes_on, 30)
    assert time.monotonic() - began < GOES_ON_SECONDS
    later = await space.add(boxes(servers, 3))
    await ring_drain(queue, later)  # bells are heard as ever

    async def is_written() -> bool:
        return (await space.read(later)).state == "done"

    assert await until(is_written, 30) < GOES_ON_SECONDS
    await queue.aclose()


async def test_a_worker_ends_in_time_though_redis_has_died(
    space: Space, servers: Counting, line: Line, outage: Outage
) -> None:
    line.environ["REDIS_URL"] = outage.redis_url
    await line.start_worker("first")
    request_id = await space.add(boxes(servers, 30))
    outage.kill_redis()

    async def is_written() -> bool:
        return (await space.read(request_id)).state == "done"

    await until(is_written)
    code, seconds = await line.end("first")
    assert (code, seconds < STOP_SECONDS) == (0, True)
