"""Who is alive, whose rows go back, what is due, and whom to ring for."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from app.model import Protocol
from app.store.db import NotFound
from app.store.requests import mark_report_written
from app.store.workers import (
    beat,
    bury_workers,
    end_drain,
    end_other_drains,
    free_lost_rows,
    free_rows,
    leave_worker,
    list_queued_keys,
    list_reports_to_write,
    list_requests_to_drain,
    make_due,
    start_drain,
)
from jobs.decide import is_interrupted
from tests.store.ledger import Space, ended, make_row, make_rows, waiting

SILENCE = timedelta(seconds=10)


@pytest.fixture(autouse=True)
async def nobody_else(pool: Any) -> None:
    await pool.execute("DELETE FROM requests")
    await pool.execute("DELETE FROM workers")


async def hire(space: Space) -> UUID:
    """Return a worker whose heart beats."""
    worker = uuid4()
    await beat(space.db, worker, "host", 1, 200)
    return worker


async def kill(space: Space, worker: UUID) -> None:
    """Let a worker fall silent, and the sweep find it."""
    await space.db.execute("UPDATE workers SET beat_at = now() - interval '11 seconds' WHERE id = $1", worker)
    assert await bury_workers(space.db, worker, SILENCE) == [], "the dead bury nobody"
    witness = await hire(space)
    assert await bury_workers(space.db, witness, SILENCE) == [worker]
    await leave_worker(space.db, witness)


async def test_rows_of_a_dead_worker_go_back_and_their_logins_stay_counted(space: Space) -> None:
    request_id = await space.add(make_rows(2))
    dead, alive = await hire(space), await hire(space)
    await space.claim(request_id, dead, 1)
    await space.claim(request_id, alive, 1)
    assert await free_rows(space.db) == 0
    await kill(space, dead)
    assert await free_rows(space.db) == 1
    (again,) = await space.claim(request_id, alive)
    assert (again.row, again.attempt, again.smtp_login_count, again.smtp_unanswered_count) == (1, 2, 2, 2)


async def test_after_the_second_death_no_third_login_is_made(space: Space) -> None:
    request_id = await space.add([make_row(1)])
    verdicts = []
    for _ in range(3):
        worker = await hire(space)
        (claimed,) = await space.claim(request_id, worker)
        verdicts.append([is_interrupted(claimed, protocol) for protocol in Protocol])
        await kill(space, worker)
        await free_rows(space.db)
    assert verdicts == [[False, False], [False, False], [True, True]]


async def test_deaths_are_counted_also_where_an_answer_came_between(space: Space) -> None:
    request_id = await space.add([make_row(1)])
    for is_dying in (True, False, True):
        worker = await hire(space)
        (claimed,) = await space.claim(request_id, worker)
        if is_dying:
            await kill(space, worker)
            await free_rows(space.db)
        else:
            await space.end(worker, waiting(claimed, -1, smtp_login_back=0, imap_login_back=0))
            await make_due(space.db)
    (claimed,) = await space.claim(request_id, await hire(space))
    assert is_interrupted(claimed, Protocol.SMTP)
    assert claimed.smtp_login_count == 4


async def test_a_death_after_two_answers_was_the_last_login(space: Space) -> None:
    """The server said "later" twice: with the login whose answer nobody saw, that makes three."""
    request_id = await space.add([make_row(1)])
    worker = await hire(space)
    for _ in range(2):
        (claimed,) = await space.claim(request_id, worker)
        assert not is_interrupted(claimed, Protocol.SMTP)
        await space.end(worker, waiting(claimed, -1, smtp_login_back=0))
        await make_due(space.db)
    (claimed,) = await space.claim(request_id, worker)
    await kill(space, worker)
    await free_rows(space.db)
    (claimed,) = await space.claim(request_id, await hire(space))
    assert is_interrupted(claimed, Protocol.SMTP)
    assert not is_interrupted(claimed, Protocol.IMAP)


async def test_a_worker_that_beats_keeps_its_rows(space: Space) -> None:
    request_id = await space.add(make_rows(1))
    worker = await hire(space)
    await space.claim(request_id, worker)
    await space.db.execute("UPDATE workers SET beat_at = now() - interval '9 seconds'")
    assert await bury_workers(space.db, await hire(space), SILENCE) == []
    assert await free_rows(space.db) == 0
    await beat(space.db, worker, "host", 1, 200)
    age = await space.db.fetchval("SELECT now() - beat_at FROM workers WHERE id = $1", worker)
    assert age < timedelta(seconds=5)


async def test_one_that_was_thought_dead_comes_back_without_its_rows(space: Space) -> None:
    request_id = await space.add(make_rows(1))
    worker = await hire(space)
    (old,) = await space.claim(request_id, worker)
    await kill(space, worker)
    await free_rows(space.db)
    await beat(space.db, worker, "host", 1, 200)
    await space.end(worker, ended(old))
    assert (await space.read(request_id)).counts.pending == 1
    (again,) = await space.claim(request_id, worker)
    assert await space.end(worker, ended(again)) == [request_id]


async def test_a_worker_that_leaves_gives_back_what_it_holds(space: Space) -> None:
    request_id = await space.add(make_rows(1))
    worker = await hire(space)
    await space.claim(request_id, worker)
    await leave_worker(space.db, worker)
    assert await free_rows(space.db) == 1


async def test_rows_are_due_when_their_time_has_come(space: Space) -> None:
    request_id = await space.add(make_rows(2))
    worker = await hire(space)
    first, second = await space.claim(request_id, worker)
    await space.end(worker, waiting(first, 60), waiting(second, -1))
    assert await make_due(space.db) == [request_id]
    assert [row.row for row in await space.claim(request_id, worker)] == [2]
    assert await make_due(space.db) == []


async def test_a_row_that_somebody_holds_keeps_no_sweep_waiting(space: Space) -> None:
    request_id = await space.add(make_rows(4))
    worker, gone = await hire(space), uuid4()
    await space.end(worker, *[waiting(row, -1) for row in await space.claim(request_id, worker, 2)])
    await space.claim(request_id, gone, 2)
    async with space.db.acquire() as other, other.transaction(), space.db.acquire() as sweeper:
        await other.execute("SELECT FROM request_rows WHERE request_id = $1 AND row IN (1, 3) FOR UPDATE", request_id)
        async with sweeper.transaction():
            await sweeper.execute("SET LOCAL statement_timeout = '3s'")
            assert await make_due(sweeper) == [request_id]
            assert await free_rows(sweeper) == 1
    assert [row.row for row in await space.claim(request_id, worker)] == [2, 4]
    assert await free_rows(space.db) == 1


async def test_a_request_is_for_every_worker_that_does_not_drain_it_yet(space: Space) -> None:
    request_id = await space.add(make_rows(3))
    one, two = await hire(space), await hire(space)
    assert await list_requests_to_drain(space.db, one) == [request_id]
    assert await start_drain(space.db, request_id, one) == (True, 1)
    assert await start_drain(space.db, request_id, one) == (False, 1)
    assert await list_requests_to_drain(space.db, one) == []
    assert await list_requests_to_drain(space.db, two) == [request_id]
    assert await start_drain(space.db, request_id, two) == (True, 0)
    assert await list_requests_to_drain(space.db, two) == []
    await end_drain(space.db, request_id, two)
    assert await list_requests_to_drain(space.db, two) == [request_id]


async def test_drains_that_ended_while_postgresql_was_away_are_forgotten(space: Space) -> None:
    kept, ended_there = await space.add(make_rows(1)), await space.add(make_rows(1))
    worker, other = await hire(space), await hire(space)
    for request_id in (kept, ended_there):
        await start_drain(space.db, request_id, worker)
        await start_drain(space.db, request_id, other)
    await end_other_drains(space.db, worker, [kept])
    assert await list_requests_to_drain(space.db, worker) == [ended_there]
    assert await list_requests_to_drain(space.db, other) == []


async def test_nothing_is_drained_where_nothing_can_be_claimed(space: Space) -> None:
    request_id = await space.add(make_rows(1))
    worker = await hire(space)
    (claimed,) = await space.claim(request_id, worker)
    assert await list_requests_to_drain(space.db, worker) == []
    await space.end(worker, waiting(claimed))
    assert await list_requests_to_drain(space.db, worker) == []
    assert not await list_queued_keys(space.db, request_id)


async def test_whose_doors_queued_rows_knock_at_is_told(space: Space) -> None:
    request_id = await space.add([make_row(number, pace_key=f"host {number % 2}") for number in range(1, 6)])
    worker = await hire(space)
    assert sorted(await list_queued_keys(space.db, request_id)) == ["host 0", "host 1"]
    await space.claim(request_id, worker, rooms={"host 0": 0})
    assert await list_queued_keys(space.db, request_id) == ["host 0"]
    await space.claim(request_id, worker)
    assert await list_queued_keys(space.db, request_id) == []


async def test_the_oldest_request_is_drained_first(space: Space) -> None:
    made = [await space.add(make_rows(1)) for _ in range(3)]
    assert await list_requests_to_drain(space.db, await hire(space)) == made


async def test_rows_that_their_living_worker_does_not_know_of_are_given_back(space: Space) -> None:
    request_id = await space.add(make_rows(3))
    worker, other = await hire(space), await hire(space)
    await space.claim(request_id, worker, 2)
    await space.claim(request_id, other)
    none = timedelta()
    assert await free_lost_rows(space.db, worker, timedelta(minutes=1), []) == []
    assert await free_lost_rows(space.db, worker, none, [(request_id, 1), (uuid4(), 2)]) == [(request_id, 2)]
    assert await free_lost_rows(space.db, worker, none, [(request_id, 1)]) == []
    assert [row.row for row in await space.claim(request_id, worker)] == [2]


async def test_reports_are_to_be_written_when_nobody_did_for_a_while(space: Space) -> None:
    request_id = await space.add(make_rows(1))
    worker = await hire(space)
    assert await list_reports_to_write(space.db, timedelta()) == []
    await space.end(worker, *map(ended, await space.claim(request_id, worker)))
    assert await list_reports_to_write(space.db, timedelta(minutes=1)) == []
    assert await list_reports_to_write(space.db, timedelta()) == [request_id]
    await mark_report_written(space.db, request_id, "path", b"hash", 1)
    assert await list_reports_to_write(space.db, timedelta()) == []


async def test_a_drain_of_what_is_gone_is_no_drain(space: Space) -> None:
    request_id = await space.add(make_rows(1))
    with pytest.raises(NotFound):
        await start_drain(space.db, uuid4(), await hire(space))
    with pytest.raises(NotFound):
        await start_drain(space.db, request_id, uuid4())
