"""Cancelling: what nobody checks yet ends at once, what is in flight ends by itself, nothing starts any more."""

import asyncio
from uuid import UUID, uuid4

import pytest

from app.model import Counts, Options, RequestStatus, Save
from app.store.again import cancel_leftovers
from app.store.db import NotFound
from app.store.requests import cancel_request, mark_report_written
from app.store.workers import list_queued_keys, list_requests_to_drain
from tests.store.ledger import Space, ended, handed_back, make_rows, waiting


async def test_rows_that_wait_end_those_in_flight_go_on(space: Space) -> None:
    request_id = await space.add(make_rows(4))
    worker = uuid4()
    first, second = await space.claim(request_id, worker, 2)
    await space.end(worker, waiting(second))
    assert await cancel_request(space.db, space.id, request_id) == (3, False)
    assert (await space.read(request_id)).counts == Counts(total=4, pending=1, cancelled=3)
    assert (await space.row(request_id, 2))["sealed"] is None
    assert await space.end(worker, ended(first)) == [request_id]
    request = await space.read(request_id)
    assert request.counts == Counts(total=4, connected=1, cancelled=3)
    assert request.state == "reporting"
    await mark_report_written(space.db, request_id, "path", b"hash", 4)
    assert (await space.read(request_id)).status is RequestStatus.CANCELLED


async def test_a_request_that_nobody_began_ends_at_once(space: Space) -> None:
    request_id = await space.add(make_rows(2), Options(save=Save.NONE))
    assert await cancel_request(space.db, space.id, request_id) == (2, True)
    request = await space.read(request_id)
    assert (request.state, request.data_key) == ("reporting", None)
    assert request.closed_at is not None


async def test_cancelling_twice_changes_nothing(space: Space) -> None:
    request_id = await space.add(make_rows(2))
    await cancel_request(space.db, space.id, request_id)
    before = (await space.read(request_id)).cancelled_at
    assert await cancel_request(space.db, space.id, request_id) == (0, True)
    request = await space.read(request_id)
    assert (request.counts.cancelled, request.cancelled_at) == (2, before)


async def test_a_request_that_is_over_is_not_cancelled_any_more(space: Space) -> None:
    request_id = await space.add(make_rows(1))
    worker = uuid4()
    await space.end(worker, *map(ended, await space.claim(request_id, worker)))
    await mark_report_written(space.db, request_id, "path", b"hash", 1)
    before = await space.read(request_id)
    await cancel_request(space.db, space.id, request_id)
    after = await space.read(request_id)
    assert (after.status, after.cancelled_at) == (RequestStatus.COMPLETED, None)
    assert after.closed_at == before.closed_at


async def test_nobody_cancels_what_is_somebody_elses(space: Space) -> None:
    request_id = await space.add(make_rows(1))
    with pytest.raises(NotFound):
        await cancel_request(space.db, uuid4(), request_id)
    assert (await space.read(request_id)).counts.pending == 1


async def test_rows_that_come_back_later_are_cancelled_then(space: Space) -> None:
    request_id = await space.add(make_rows(2))
    worker = uuid4()
    first, second = await space.claim(request_id, worker)
    await cancel_request(space.db, space.id, request_id)
    await space.end(worker, handed_back(first), waiting(second))
    assert not await list_queued_keys(space.db, request_id)
    assert request_id not in await list_requests_to_drain(space.db, worker)
    assert await cancel_leftovers(space.db) == [request_id]
    assert (await space.read(request_id)).counts == Counts(total=2, cancelled=2)
    assert await cancel_leftovers(space.db) == []


async def test_leftovers_beside_rows_in_flight_do_not_close_the_request(space: Space) -> None:
    request_id = await space.add(make_rows(2))
    worker = uuid4()
    first, second = await space.claim(request_id, worker)
    await cancel_request(space.db, space.id, request_id)
    await space.end(worker, handed_back(first))
    assert await cancel_leftovers(space.db) == []
    assert (await space.read(request_id)).counts == Counts(total=2, pending=1, cancelled=1)
    assert await space.end(worker, ended(second)) == [request_id]


async def test_cancel_and_records_at_once_lose_no_row(space: Space) -> None:
    for _ in range(5):
        request_id = await space.add(make_rows(60))
        ends = [asyncio.create_task(drain(space, request_id)) for _ in range(4)]
        cancelled, was_last = await cancel_request(space.db, space.id, request_id)
        closed = sum(await asyncio.gather(*ends))
        counts = (await space.read(request_id)).counts
        assert counts == Counts(total=60, connected=60 - cancelled, cancelled=cancelled)
        assert closed + was_last == 1


async def drain(space: Space, request_id: UUID) -> int:
    """Check row after row until none is left. Returns how often the request was closed by it."""
    worker, closed = uuid4(), 0
    while rows := await space.claim(request_id, worker, 5):
        for row in rows:
            closed += len(await space.end(worker, ended(row)))
    return closed
