"""PostgreSQL's errors become ours, in one place, and say nothing of what was sent."""

import asyncio
import time
from typing import Any
from uuid import UUID, uuid4

import pytest

from app.store.db import (
    Conflict,
    NotFound,
    StoreError,
    Unavailable,
    bind,
    connection,
    is_reachable,
    new_id,
    open_pool,
    transaction,
)
from app.store.workspaces import insert_workspace
from tests.store.ledger import Space, make_rows


@pytest.mark.parametrize(
    ("statement", "error"),
    [
        ("INSERT INTO workspaces (id, name, data_key) SELECT gen_random_uuid(), name, '' FROM workspaces", Conflict),
        ("INSERT INTO drains (request_id, worker_id) VALUES (gen_random_uuid(), gen_random_uuid())", NotFound),
        ("SELECT 1 / 0", StoreError),
        ("SELECT pg_terminate_backend(pg_backend_pid())", Unavailable),
        ("SET LOCAL statement_timeout = 1; SELECT pg_sleep(5)", Unavailable),
        ("SET LOCAL transaction_read_only = on; DELETE FROM workers", Unavailable),
        ("DO $$ BEGIN RAISE 'no room' USING ERRCODE = 'disk_full'; END $$", Unavailable),
        ("DO $$ BEGIN RAISE 'the disk fails' USING ERRCODE = 'io_error'; END $$", Unavailable),
        ("DO $$ BEGIN RAISE 'locked' USING ERRCODE = 'lock_not_available'; END $$", Unavailable),
        ("DO $$ BEGIN RAISE 'who is that' USING ERRCODE = 'invalid_password'; END $$", Unavailable),
    ],
)
async def test_each_error_is_the_right_one_of_ours(space: Space, statement: str, error: type[StoreError]) -> None:
    with pytest.raises(StoreError) as caught:
        async with transaction(space.db) as link:
            await link.execute(statement)
    assert type(caught.value) is error


async def test_what_was_sent_is_not_quoted(space: Space) -> None:
    with pytest.raises(StoreError) as caught:
        async with transaction(space.db) as link:
            await link.execute("SELECT $1::text::integer", "hunter2")
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


async def test_locks_of_a_host_that_was_cut_off_are_given_back(space: Space) -> None:
    request_id = await space.add(make_rows(1))
    lock = "SELECT state FROM requests WHERE id = $1 FOR UPDATE"
    async with connection(space.db) as link:
        assert await link.fetchval("SHOW idle_in_transaction_session_timeout") == "15s"
        assert await link.fetchval("SHOW statement_timeout") == "1min"
    with pytest.raises(Unavailable):
        async with transaction(space.db) as link:
            await link.execute("SET LOCAL idle_in_transaction_session_timeout = '100ms'")
            await link.execute(lock, request_id)
            # Nothing is said any more, as by a host whose cable was pulled in the middle of a record.
            async with transaction(space.db) as other, asyncio.timeout(5):
                assert await other.fetchval(lock, request_id) == "queued"
            await link.execute("SELECT true")


async def test_a_deadlock_may_be_tried_again(space: Space) -> None:
    request_id = await space.add(make_rows(2))
    has_both = asyncio.Barrier(2)

    async def lock(*numbers: int) -> None:
        async with transaction(space.db) as link:
            for number in numbers:
                await link.execute(
                    "SELECT row FROM request_rows WHERE request_id = $1 AND row = $2 FOR UPDATE", request_id, number
                )
                if number == numbers[0]:
                    await has_both.wait()

    ends = await asyncio.gather(lock(1, 2), lock(2, 1), return_exceptions=True)
    assert sorted(type(end).__name__ for end in ends) == ["NoneType", "Unavailable"]


async def test_a_transaction_that_fails_leaves_nothing(space: Space) -> None:
    with pytest.raises(StoreError):
        async with transaction(space.db) as link:
            await insert_workspace(link, "half", space.keyring)
            await link.execute("SELECT 1 / 0")
    assert await space.db.fetchval("SELECT count(*) FROM workspaces WHERE name = 'half'") == 0


async def test_a_snapshot_sees_one_moment_and_writes_nothing(space: Space) -> None:
    request_id = await space.add(make_rows(1))
    ask, change = "SELECT version FROM requests WHERE id = $1", "UPDATE requests SET version = 7 WHERE id = $1"
    async with transaction(space.db, is_snapshot=True) as link:
        assert await link.fetchval(ask, request_id) == 1
        await space.db.execute(change, request_id)
        assert await link.fetchval(ask, request_id) == 1
    assert await space.db.fetchval(ask, request_id) == 7
    with pytest.raises(StoreError):
        async with transaction(space.db, is_snapshot=True) as link:
            await link.execute(change, request_id)


async def test_a_transaction_that_is_cancelled_says_so_and_gives_its_place_back(database_url: str) -> None:
    small = await open_pool(database_url, most=1)
    has_begun = asyncio.Event()

    async def wait_long() -> None:
        async with transaction(small) as link:
            has_begun.set()
            await link.execute("SELECT pg_sleep(30)")

    waiting = asyncio.create_task(wait_long())
    await has_begun.wait()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert await is_reachable(small)
    with pytest.raises(Unavailable, match="TimeoutError"):
        async with transaction(small):
            raise TimeoutError
    await small.close()


async def test_a_connection_is_taken_as_it_is(pool: Any) -> None:
    async with connection(pool) as link, connection(link) as same:
        assert same is link
        assert await is_reachable(link)


async def test_an_unknown_query_is_noticed_at_import() -> None:
    with pytest.raises(KeyError):
        bind("no_such_query")


def test_ids_are_in_the_order_of_time_and_cannot_be_guessed() -> None:
    before = time.time_ns() // 1_000_000
    made = [new_id() for _ in range(1000)]
    after = time.time_ns() // 1_000_000
    assert len({each.int & (1 << 74) - 1 for each in made}) == 1000
    for each in made:
        assert (each.version, each.variant) == (7, uuid4().variant)
        assert before <= each.int >> 80 <= after
    assert UUID(str(made[0])) == made[0]
