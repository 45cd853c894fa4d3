"""Worker processes as they really run: told to stop, killed, without their bell, without their database."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from uuid import UUID

import pytest
from redis.asyncio import Redis

from app.model import Counts
from app.seal import Keyring
from app.store.db import open_pool
from app.store.migrate import migrate
from app.store.workspaces import insert_workspace
from tests.fakes.counting import Counting
from tests.jobs.hands import box, boxes
from tests.jobs.outage import Outage
from tests.real.line import Line, open_line, until
from tests.store.ledger import Space

STOP_SECONDS = 20.0
DEAD_AFTER_SECONDS = 2.0


@pytest.fixture
def line(servers: Counting, database_url: str, redis_url: str, key_text: str) -> Iterator[Line]:
    """Lay a line for worker processes that take silence for death soon."""
    settings = {
        "SECRET_KEYS": key_text,
        "ALLOW_PORTS": f"{servers.smtp_port},{servers.imap_port}",
        "CHECK_CONCURRENCY": "10",
        "WORKER_TIMEOUT": f"{DEAD_AFTER_SECONDS:g}",
    }
    with (
        tempfile.TemporaryDirectory(prefix="jobs-line-") as name,
        open_line(Path(name), database_url, redis_url, settings) as laid,
    ):
        yield laid


def ended(space: Space, request_id: UUID) -> Callable[[], Awaitable[bool]]:
    """Return the question whether a request's report is written."""

    async def is_so() -> bool:
        return (await space.read(request_id)).state == "done"

    return is_so


def connected(space: Space, request_id: UUID, count: int) -> Callable[[], Awaitable[bool]]:
    """Return the question whether so many rows are recorded as connected."""

    async def is_so() -> bool:
        return (await space.read(request_id)).counts.connected >= count

    return is_so


def asked(servers: Counting, count: int) -> Callable[[], Awaitable[bool]]:
    """Return the question whether so many passwords have come in."""

    async def is_so() -> bool:
        return servers.asked.total() >= count

    return is_so


async def count_workers(space: Space) -> int:
    return int(await space.db.fetchval("SELECT count(*) FROM workers"))


async def test_a_worker_told_to_stop_finishes_what_is_in_flight_and_repeats_no_login(
    space: Space, servers: Counting, line: Line
) -> None:
    servers.delay_seconds = 1.0
    await line.start_worker("first")
    request_id = await space.add(boxes(servers, 60, ("good", "good", "wrong")))
    await until(asked(servers, 20))
    code, seconds = await line.end("first")
    assert code == 0
    assert seconds < 5
    assert 0 < (await space.read(request_id)).counts.pending < 60
    states = {record["state"] for record in await space.db.fetch("SELECT state FROM request_rows")}
    assert states <= {"queued", "done"}
    assert await count_workers(space) == 0
    servers.delay_seconds = 0.01
    await line.start_worker("second")
    await until(ended(space, request_id))
    assert (await space.read(request_id)).counts == Counts(total=60, connected=40, failed=20)
    assert set(servers.asked.values()) == {2}  # one login for each protocol


async def test_a_worker_told_to_stop_hands_back_in_time_what_hangs(space: Space, servers: Counting, line: Line) -> None:
    await line.start_worker("first")
    rows = [box(servers, 1, smtp="wrong", imap="held"), *(box(servers, number, "held") for number in range(2, 16))]
    request_id = await space.add(rows)
    await until(asked(servers, 20))
    code, seconds = await line.end("first")
    assert (code, seconds < STOP_SECONDS) == (0, True)
    held = await space.db.fetch("SELECT * FROM request_rows WHERE attempt > 0")
    assert {row["state"] for row in held} == {"queued"}
    assert {row["imap_unanswered_count"] for row in held} == {1}
    unstarted = await space.db.fetch("SELECT * FROM request_rows WHERE attempt = 0")
    assert {row["imap_login_count"] for row in unstarted} <= {0}
    servers.let_go.set()
    await line.start_worker("second")
    await until(ended(space, request_id))
    assert (await space.read(request_id)).counts == Counts(total=15, connected=14, failed=1)
    assert servers.asked["wrong-1@example.com"] == 1  # the answer had come: it was not asked again
    assert max(servers.asked.values()) == 4
    assert servers.asked.total() == 2 * 15 + 2 * len(held) - 1


async def test_a_worker_killed_twice_over_the_same_row_is_not_sent_a_third_time(
    space: Space, servers: Counting, line: Line
) -> None:
    request_id = await space.add([box(servers, 1, "held"), box(servers, 2)])
    await line.start_worker("first")
    await until(asked(servers, 4))
    await until(connected(space, request_id, 1))
    line.kill("first")
    await line.start_worker("second")
    await until(asked(servers, 6))
    line.kill("second")
    await line.start_worker("third")
    await until(ended(space, request_id))
    row = await space.db.fetch(
        "SELECT protocol, code, logins FROM checks WHERE request_id = $1 AND row = 1", request_id
    )
    assert {(side["code"], side["logins"]) for side in row} == {("interrupted", 2)}
    assert (await space.read(request_id)).counts == Counts(total=2, connected=1, failed=1)
    assert servers.asked["held-1@example.com"] == 4  # two for each protocol
    assert servers.asked["good-2@example.com"] == 2


async def test_a_living_worker_takes_over_from_a_killed_one(space: Space, servers: Counting, line: Line) -> None:
    servers.delay_seconds = 0.5
    await line.start_worker("first")
    await line.start_worker("second")
    request_id = await space.add(boxes(servers, 60))
    await until(asked(servers, 30))
    line.kill("first")
    assert await until(ended(space, request_id)) < 25
    assert (await space.read(request_id)).counts == Counts(total=60, connected=60)
    assert max(servers.asked.values()) <= 4


async def test_requests_and_reports_are_found_though_every_bell_is_lost(
    space: Space, servers: Counting, line: Line, redis_url: str
) -> None:
    servers.delay_seconds = 0.3
    await line.start_worker("first")
    request_id = await space.add(boxes(servers, 40))  # nobody rings
    await until(asked(servers, 10))
    async with Redis.from_url(redis_url) as redis:
        await redis.flushall()
    assert await until(ended(space, request_id)) < 25
    assert (await space.read(request_id)).counts == Counts(total=40, connected=40)


async def test_rows_that_were_told_later_are_tried_again_when_they_are_due(
    space: Space, servers: Counting, line: Line
) -> None:
    await line.start_worker("first")
    request_id = await space.add([box(servers, 1, "later"), box(servers, 2)])
    await until(connected(space, request_id, 1))
    await space.db.execute("UPDATE request_rows SET due_at = now() WHERE state = 'waiting'")
    assert await until(ended(space, request_id)) < 8
    assert (await space.read(request_id)).counts == Counts(total=2, connected=2)
    assert servers.asked["later-1@example.com"] == 4


async def test_a_worker_does_without_redis_altogether(space: Space, servers: Counting, line: Line) -> None:
    line.environ["REDIS_URL"] = "unix:///nowhere/valkey.sock"
    await line.start_worker("alone")
    request_id = await space.add(boxes(servers, 5))
    assert await until(ended(space, request_id), 40) < 40
    code, seconds = await line.end("alone")
    assert (code, seconds < STOP_SECONDS) == (0, True)


@pytest.fixture
async def fragile(outage: Outage, key_text: str) -> AsyncIterator[Space]:
    """Return a workspace in a database that will go away."""
    await migrate(outage.database_url)
    db = await open_pool(outage.database_url)
    keyring = Keyring.from_texts([key_text])
    yield Space(db, keyring, await insert_workspace(db, "fragile", keyring))
    db.terminate()


async def test_a_postgresql_that_goes_and_comes_costs_no_login_and_no_outcome(
    fragile: Space, outage: Outage, servers: Counting, line: Line
) -> None:
    servers.delay_seconds = 0.8
    line.environ["DATABASE_URL"] = outage.database_url
    await line.start_worker("first")
    await line.start_worker("second")
    request_id = await fragile.add(boxes(servers, 80, ("good", "good", "wrong", "good")))
    await until(asked(servers, 40))
    outage.stop()
    await asyncio.sleep(DEAD_AFTER_SECONDS * 2)
    outage.start()
    await until(ended(fragile, request_id), 60)
    assert (await fragile.read(request_id)).counts == Counts(total=80, connected=60, failed=20)
    assert set(servers.asked.values()) == {2}
    for name in ("first", "second"):
        assert (await line.end(name))[0] == 0


async def test_a_worker_ends_in_time_while_postgresql_is_away(
    fragile: Space, outage: Outage, servers: Counting, line: Line
) -> None:
    line.environ["DATABASE_URL"] = outage.database_url
    await line.start_worker("first")
    request_id = await fragile.add(boxes(servers, 5))
    servers.delay_seconds = 2.0
    await until(asked(servers, 10))
    outage.stop()
    code, seconds = await line.end("first")
    assert (code, seconds < STOP_SECONDS) == (0, True)
    assert "worker.unwritten" in line.words("first")
    outage.start()
    assert (await fragile.read(request_id)).counts.pending == 5
