"""What a worker does by the clock: it beats, lets go of what it lost, begins what nobody told it of."""

import asyncio
from collections.abc import Callable

from app.model import Counts
from app.store.db import new_id
from jobs.clock import beat_heart, let_go, pass_on_due_rows, seek_work
from jobs.drain_request import drain_request
from tests.fakes.counting import Counting
from tests.jobs.hands import Hands, Hire, box, boxes, wait_until
from tests.store.ledger import Space, ended, make_rows, waiting


async def settle(one: Hands, is_so: Callable[[], bool]) -> None:
    await wait_until(is_so)
    await one.finish()


async def test_checks_of_rows_that_were_lost_are_stopped_before_they_log_in(
    space: Space, servers: Counting, hands: Hire
) -> None:
    """As after a machine slept: the rows are another worker's by now, and so are their logins."""
    request_id = await space.add([box(servers, number, "held") for number in range(1, 4)])
    one: Hands = await hands()
    await drain_request(one.worker, request_id)
    await wait_until(lambda: servers.asked.total() == 6)
    other = new_id()
    await space.db.execute("UPDATE request_rows SET worker_id = $1 WHERE row = 1", other)
    await space.db.execute("UPDATE request_rows SET attempt = attempt + 1 WHERE row = 2")
    await let_go(one.worker)
    await wait_until(lambda: len(one.worker.checks) == 1)
    (row,) = one.worker.checks.values()
    assert row.row == 3
    servers.let_go.set()
    await one.finish()
    lost = [await space.row(request_id, number) for number in (1, 2)]
    assert {row["state"] for row in lost} == {"checking"}  # late words change nothing
    assert (await space.read(request_id)).counts.connected == 1


async def test_a_gap_in_the_beats_makes_a_worker_look_at_what_is_still_its_own(
    space: Space, servers: Counting, hands: Hire
) -> None:
    request_id = await space.add([box(servers, 1, "held")])
    one: Hands = await hands()
    await beat_heart(one.worker)
    await drain_request(one.worker, request_id)
    await wait_until(lambda: servers.asked.total() == 2)
    await space.db.execute("UPDATE request_rows SET worker_id = $1", new_id())
    await beat_heart(one.worker)
    await asyncio.sleep(0.05)
    assert len(one.worker.checks) == 1
    one.worker.beat_at -= 60
    await beat_heart(one.worker)
    await wait_until(lambda: not one.worker.checks)


async def test_a_worker_begins_what_no_bell_told_of(space: Space, servers: Counting, hands: Hire) -> None:
    request_id, closed = await space.add(boxes(servers, 3)), await space.add(make_rows(1))
    one: Hands = await hands()
    await space.end(one.worker.id, *map(ended, await space.claim(closed, one.worker.id)))
    await space.db.execute("UPDATE requests SET closed_at = now() - interval '1 minute' WHERE id = $1", closed)
    await seek_work(one.worker)
    await seek_work(one.worker)  # what is begun is not begun twice
    assert len(one.worker.writing) <= 1
    await settle(one, lambda: bool(one.closed) and not one.worker.list_busy())
    assert (await space.read(request_id)).counts == Counts(total=3, connected=3)
    assert (await space.read(closed)).state == "done"


async def test_rows_that_are_due_are_drained_at_once(space: Space, servers: Counting, hands: Hire) -> None:
    request_id = await space.add(boxes(servers, 2))
    one: Hands = await hands()
    await space.end(one.worker.id, *[waiting(row, -1) for row in await space.claim(request_id, one.worker.id)])
    await pass_on_due_rows(one.worker)
    await settle(one, lambda: bool(one.closed))
    assert (await space.read(request_id)).counts == Counts(total=2, connected=2)
