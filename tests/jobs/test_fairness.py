"""Nobody waits for another: a small request beside a huge one, and workspaces beside each other."""

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import pytest

from app.enqueue import Queue, open_queue, ring_drain
from app.model import Encryption, Row, Side
from app.store.workspaces import insert_workspace
from tests.fakes.counting import Counting, count_logins
from tests.real.line import Line, open_line, until
from tests.store.ledger import Space, make_row

HUGE = 20_000
SMALL = 3
SLOTS = 50
HOSTS = 60
WORKERS = 2
PLACES = 5
"""How many checks of the small host each worker has at once."""


@pytest.fixture
async def servers() -> AsyncIterator[Counting]:
    async with count_logins(1.0, HOSTS) as book:
        yield book


@pytest.fixture
async def queue(redis_url: str) -> AsyncIterator[Queue]:
    opened = open_queue(redis_url)
    yield opened
    await opened.aclose()


@pytest.fixture
async def line(servers: Counting, database_url: str, redis_url: str, key_text: str) -> AsyncIterator[Line]:
    """Run the workers."""
    settings = {
        "SECRET_KEYS": key_text,
        "ALLOW_PORTS": f"{servers.smtp_port},{servers.imap_port}",
        "CHECK_CONCURRENCY": str(SLOTS),
        "PROVIDER_LIMITS": f"{servers.hosts[-1]}={PLACES}",
        "LOG_LEVEL": "INFO",
    }
    with (
        tempfile.TemporaryDirectory(prefix="fairness-") as name,
        open_line(Path(name), database_url, redis_url, settings) as laid,
    ):
        for number in range(WORKERS):
            await laid.start_worker(f"worker{number}")
        yield laid
        for worker in list(laid.processes):
            laid.kill(worker)


def boxes_all_over(servers: Counting, count: int, label: str, only: str = "") -> list[Row]:
    """Return rows of mailboxes at all the hosts in turn. `only`: at this one."""
    rows = []
    for number in range(1, count + 1):
        host, email = only or servers.hosts[number % len(servers.hosts)], f"good-{label}-{number}@example.com"
        smtp, imap = (
            Side(True, email, email, host, port, Encryption.NONE) for port in (servers.smtp_port, servers.imap_port)
        )
        rows.append(make_row(number, email=email, pace_key=host, smtp=smtp, imap=imap))
    return rows


async def connect(space: Space, queue: Queue, rows: list[Row]) -> UUID:
    request_id = await space.add(rows)
    await ring_drain(queue, request_id)
    return request_id


async def measure_small(space: Space, servers: Counting, queue: Queue, label: str, only: str = "") -> float:
    """Connect three rows. Returns how long it takes until their report is there."""
    began = time.monotonic()
    request_id = await connect(space, queue, boxes_all_over(servers, SMALL, label, only))

    async def is_done() -> bool:
        return (await space.read(request_id)).state == "done"

    await until(is_done, 30)
    assert (await space.read(request_id)).counts.connected == SMALL
    return time.monotonic() - began


async def enter_another(space: Space, name: str) -> Space:
    return Space(space.db, space.keyring, await insert_workspace(space.db, name, space.keyring))


async def test_three_rows_wait_little_for_twenty_thousand_of_another(
    space: Space, servers: Counting, queue: Queue, line: Line
) -> None:
    alone = min([await measure_small(space, servers, queue, f"alone{turn}") for turn in range(2)])
    other = await enter_another(space, "huge")
    huge = await connect(other, queue, boxes_all_over(servers, HUGE, "huge"))
    before = servers.asked.total()

    async def is_running() -> bool:
        return servers.asked.total() - before > 4 * SLOTS

    await until(is_running)
    beside = []
    for turn in range(4):
        beside.append(await measure_small(space, servers, queue, f"beside{turn}"))
        await asyncio.sleep(0.3)
    assert (await other.read(huge)).counts.pending > HUGE / 2
    assert max(beside) < 2 * alone + 1


async def test_three_rows_wait_little_for_hundreds_of_requests_that_cannot_go_on(
    space: Space, servers: Counting, queue: Queue, line: Line
) -> None:
    alone = min([await measure_small(space, servers, queue, f"alone{turn}") for turn in range(2)])
    other = await enter_another(space, "crowd")
    host = servers.hosts[-1]
    crowd = boxes_all_over(servers, 20, "crowd", host)
    for _ in range(240):
        await connect(other, queue, crowd)

    async def is_crowded() -> bool:
        return bool(await space.db.fetchval("SELECT count(*) > 200 FROM drains"))

    await until(is_crowded)
    beside = [await measure_small(space, servers, queue, f"beside{turn}") for turn in range(4)]
    assert max(beside) < 2 * alone + 1


@pytest.mark.parametrize("is_same_workspace", [False, True])
async def test_three_rows_wait_little_for_hundreds_at_the_same_small_host(
    space: Space, servers: Counting, queue: Queue, line: Line, is_same_workspace: bool
) -> None:
    """Counted in checks of others that begin meanwhile: a slow machine slows those too."""
    host = servers.hosts[-1]
    other = space if is_same_workspace else await enter_another(space, "neighbour")
    many = await connect(other, queue, boxes_all_over(servers, 1000, "many", host))

    async def is_running() -> bool:
        return (await other.read(many)).counts.connected > 10

    await until(is_running)
    beside = []
    for turn in range(6):
        before = len(servers.asked)
        await measure_small(space, servers, queue, f"small{turn}", host)
        begun = list(servers.asked)[before:]
        last = max(begun.index(f"good-small{turn}-{number}@example.com") for number in range(1, SMALL + 1))
        beside.append(last + 1 - SMALL)
    assert (await other.read(many)).counts.pending > 200
    assert max(beside) <= 2 * WORKERS * PLACES
