"""Rows on their way into PostgreSQL: whatever ends the call in their midst, nothing of the request stays."""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from itertools import count
from typing import Any

import pytest

from app.intake.body import cut_rows
from app.model import Options, Row, RowError
from app.store.db import Unavailable, new_id, open_pool, transaction
from app.store.incoming import BLOCK_ROWS, Tally, insert_request
from app.store.requests import count_requests
from tests.store.ledger import Space, make_row, make_rows

WRONG = (RowError(1, "smtpPort", "range", "smtpPort must be from 1 to 65535."),)


async def insert(link: Any, space: Space, slices: Iterable[Sequence[Row]], number: int, options: Options) -> Tally:
    return await insert_request(
        link, new_id(), space.id, options, slices, [], count=number, data_key=bytes(32), wrapped_key=b"wrapped",
        retention=timedelta(days=1),
    )  # fmt: skip


async def test_a_strict_request_asks_something_of_postgresql_to_its_end(space: Space) -> None:
    """PostgreSQL gives up a transaction that is idle for long, and the caller would not learn what is wrong."""
    rows = [make_row(1, errors=WRONG), *make_rows(3 * BLOCK_ROWS)[1:]]
    async with transaction(space.db) as link:
        tally = await insert(link, space, cut_rows(rows), len(rows), Options(is_strict=True))
        assert (tally.counts().total, tally.counts().invalid, tally.errors) == (len(rows), 1, list(WRONG))
        stored = "SELECT count(*) FROM request_rows r JOIN requests q ON q.id = r.request_id WHERE q.workspace_id = $1"
        assert await link.fetchval(stored, space.id) == len(rows)


async def test_nothing_stays_of_a_request_that_is_cancelled_while_rows_are_stored(
    space: Space, database_url: str
) -> None:
    def slices() -> Iterator[list[Row]]:
        yield make_rows(BLOCK_ROWS)
        running.cancel()
        yield [make_row(BLOCK_ROWS + 1)]

    async def run() -> None:
        async with transaction(small) as link:
            await insert(link, space, slices(), BLOCK_ROWS + 1, Options())

    small = await open_pool(database_url, most=1)
    running = asyncio.create_task(run())
    with pytest.raises(asyncio.CancelledError):
        await running
    assert await count_requests(small, space.id) == 0
    small.terminate()


async def test_nothing_stays_of_a_request_whose_connection_ends_while_rows_are_stored(space: Space) -> None:
    end = "SELECT pg_terminate_backend($1)"
    ending: list[asyncio.Task[Any]] = []

    def slices(process_id: int) -> Iterator[list[Row]]:
        for number in count(1):
            if number == 2 * BLOCK_ROWS:
                ending.append(asyncio.create_task(space.db.execute(end, process_id)))
            yield [make_row(number)]

    with pytest.raises(Unavailable):
        async with transaction(space.db) as link:
            await insert(link, space, slices(link.get_server_pid()), 1, Options())
    await asyncio.gather(*ending)
    assert await count_requests(space.db, space.id) == 0
