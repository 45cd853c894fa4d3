"""Results are written in blocks; what PostgreSQL cannot take now is held, what it will never take stops nobody."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from app.model import Counts
from app.seal import Keyring
from app.store.checks import record_results
from app.store.db import StoreError, Unavailable, new_id, open_pool
from app.store.migrate import migrate
from app.store.workspaces import insert_workspace
from jobs import recorder as recording
from jobs.recorder import BLOCK, Recorder
from tests.jobs.outage import Outage
from tests.store.ledger import Space, ended, make_rows, side_result


class Book:
    """A recorder at work, and the requests that it closed."""

    def __init__(self, db: Any) -> None:
        self.worker_id = new_id()
        self.closed: list[UUID] = []
        self.recorder = Recorder(db, self.worker_id, self._note)
        self.task = asyncio.create_task(self.recorder.run())

    async def _note(self, request_id: UUID) -> None:
        self.closed.append(request_id)

    async def close(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


@pytest.fixture
async def book(pool: Any) -> AsyncIterator[Book]:
    opened = Book(pool)
    yield opened
    await opened.close()


async def test_results_of_many_rows_are_written_and_the_request_closed_once(space: Space, book: Book) -> None:
    count = BLOCK * 2 + 7
    request_id = await space.add(make_rows(count))
    for claimed in await space.claim(request_id, book.worker_id, count):
        book.recorder.add(ended(claimed))
    assert len(book.recorder.list_held()) == count
    assert await book.recorder.flush(10)
    assert book.recorder.list_held() == []
    await asyncio.sleep(0)
    assert book.closed == [request_id]
    assert (await space.read(request_id)).counts == Counts(total=count, connected=count)


async def test_an_empty_recorder_is_flushed_at_once(book: Book) -> None:
    assert await book.recorder.flush(0.01)


async def test_a_record_that_cannot_be_written_takes_no_other_with_it(space: Space, book: Book) -> None:
    request_id = await space.add(make_rows(5))
    for claimed in await space.claim(request_id, book.worker_id):
        record = ended(claimed)
        if claimed.row == 3:
            sides = tuple(replace(side, reply="zero \0 inside") for side in record.sides)
            record = replace(record, sides=sides)
        if claimed.row == 4:
            record = replace(record, sides=(replace(side_result(record.sides[0].protocol), reply="half \ud800"),))
        book.recorder.add(record)
    assert await book.recorder.flush(10)
    found = {number: (await space.row(request_id, number))["state"] for number in range(1, 6)}
    assert found == {1: "done", 2: "done", 3: "checking", 4: "checking", 5: "done"}


async def test_a_block_with_a_bad_record_is_held_too_while_postgresql_is_away(
    space: Space, book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    request_id = await space.add(make_rows(2))
    answers = [StoreError("a bad record"), Unavailable("away"), Unavailable("away")]

    async def answer(*words: Any) -> list[UUID]:
        if answers:
            raise answers.pop(0)
        return await record_results(*words)

    monkeypatch.setattr(recording, "record_results", answer)
    for claimed in await space.claim(request_id, book.worker_id):
        book.recorder.add(ended(claimed))
    assert await book.recorder.flush(10)
    assert (await space.read(request_id)).counts == Counts(total=2, connected=2)


async def test_results_are_held_while_postgresql_may_only_be_read(space: Space, database_url: str) -> None:
    """As when its disk is nearly full, or another is about to take its place."""
    db = await open_pool(database_url, most=1)
    book = Book(db)
    try:
        request_id = await space.add(make_rows(3))
        rows = await space.claim(request_id, book.worker_id)
        await db.execute("SET default_transaction_read_only = on")
        for claimed in rows:
            book.recorder.add(ended(claimed))
        assert not await book.recorder.flush(0.5)
        assert len(book.recorder.list_held()) == 3
        await db.execute("SET default_transaction_read_only = off")
        assert await book.recorder.flush(10)
        assert (await space.read(request_id)).counts == Counts(total=3, connected=3)
    finally:
        await book.close()
        db.terminate()


async def test_results_outlive_a_postgresql_that_goes_and_comes_and_are_written_once(
    outage: Outage, key_text: str
) -> None:
    await migrate(outage.database_url)
    db = await open_pool(outage.database_url)
    keyring = Keyring.from_texts([key_text])
    space = Space(db, keyring, await insert_workspace(db, "outage", keyring))
    book = Book(db)
    try:
        request_id = await space.add(make_rows(30))
        rows = await space.claim(request_id, book.worker_id)
        for claimed in rows[:10]:
            book.recorder.add(ended(claimed))
        assert await book.recorder.flush(10)
        outage.stop()
        for claimed in rows[10:]:
            book.recorder.add(ended(claimed))
        assert not await book.recorder.flush(1)
        assert len(book.recorder.list_held()) == 20
        outage.start()
        assert await book.recorder.flush(15)
        assert book.closed == [request_id]
        assert (await space.read(request_id)).counts == Counts(total=30, connected=30)
        written = await db.fetchval("SELECT count(*) FROM checks WHERE request_id = $1", request_id)
        assert written == 60
        # A late writer, who never heard that it was written, changes nothing.
        book.recorder.add(ended(rows[0], "invalid_credentials"))
        assert await book.recorder.flush(10)
        assert (await space.read(request_id)).counts == Counts(total=30, connected=30)
    finally:
        await book.close()
        db.terminate()
