"""A worker's connection is cut after any statement: every row ends once and right, and no login is made twice."""

import time
from collections.abc import AsyncIterator
from uuid import UUID

import pytest

from app.model import Counts
from app.store.db import open_pool
from jobs.drain_request import drain_request
from jobs.sweep import sweep
from tests.fakes.between import Between
from tests.fakes.counting import Counting
from tests.jobs.hands import Hands, Hire, box
from tests.real.process import open_folder
from tests.store.ledger import Space

ROWS = 4


@pytest.fixture
async def between(database_url: str) -> AsyncIterator[Between]:
    with open_folder("lost-answers") as folder:
        async with Between(folder, database_url).listening() as relay:
            yield relay


@pytest.fixture
async def one(between: Between, hands: Hire) -> AsyncIterator[Hands]:
    """Return a worker that reaches PostgreSQL through the relay only."""
    hired: Hands = await hands()
    through = await open_pool(between.database_url)
    hired.worker.db = hired.worker.recorder._db = through
    yield hired
    through.terminate()


async def drain_until_closed(space: Space, one: Hands, request_id: UUID) -> None:
    """Drain and sweep as a worker's clock does, only sooner."""
    ends_at = time.monotonic() + 20
    while request_id not in one.closed:
        assert time.monotonic() < ends_at
        await drain_request(one.worker, request_id)
        await one.finish()
        if (await space.read(request_id)).state == "reporting":
            return  # it was closed, and the answer was lost: the clock finds the report to be written
        await space.db.execute("UPDATE request_rows SET claimed_at = claimed_at - interval '16 seconds'")
        await sweep(one.worker)


async def test_no_row_is_lost_and_no_login_repeated_whatever_answer_is_lost(
    space: Space, servers: Counting, one: Hands, between: Between
) -> None:
    statements = lost = 0
    while lost == 0 or lost < statements:
        names = ("wrong" if number == 2 else "good" for number in range(1, ROWS + 1))
        rows = [box(servers, 100 * lost + number, name) for number, name in enumerate(names, 1)]
        request_id = await space.add(rows)
        servers.asked.clear()
        between.hold_after(lost, cuts=True)
        await drain_until_closed(space, one, request_id)
        statements = between.seen if lost == 0 else statements
        assert (await space.read(request_id)).counts == Counts(total=ROWS, connected=ROWS - 1, failed=1)
        assert set(servers.asked.values()) == {2}  # one login for each protocol
        assert len(servers.asked) == ROWS
        assert one.worker.slots.free == one.worker.settings.check_concurrency
        lost += 1
    assert statements > 5
