"""Who tries three rows first and then uploads thousands is not served by what PostgreSQL learned from the three."""

from collections.abc import AsyncIterator
from itertools import count
from typing import Any
from uuid import uuid4

import pytest

from app import embedded
from app.seal import Keyring
from app.store.db import open_pool
from app.store.lines import iterate_report_lines
from app.store.migrate import migrate
from app.store.sizes import learn_of_checks, learn_of_rows
from app.store.workspaces import insert_workspace
from tests.conftest import name_database, run_sql
from tests.store.ledger import Space, ended, make_rows

MANY, BLOCK = 5000, 25
_NUMBERS = count(1)


@pytest.fixture(params=["ground", "other_ground"], ids=["our PostgreSQL", "the oldest here"])
def each_ground(request: pytest.FixtureRequest) -> embedded.Embedded:
    found: embedded.Embedded = request.getfixturevalue(request.param)
    return found


@pytest.fixture
async def link(each_ground: embedded.Embedded) -> AsyncIterator[Any]:
    """Yield a worker's connection to a database in which nothing has happened."""
    name = f"new_installation_{next(_NUMBERS)}"
    await run_sql(each_ground.database_url, f"CREATE DATABASE {name}")
    url = name_database(each_ground.database_url, name)
    await migrate(url)
    pool = await open_pool(url, most=1, keeps_plans=True)
    async with pool.acquire() as held:
        yield held
    await pool.close()
    await run_sql(each_ground.database_url, f"DROP DATABASE {name} WITH (FORCE)")


async def check_all(space: Space, row_count: int) -> int:
    """Store a request, and check its rows and report them as a worker does. Returns how many rows were read for it."""
    request_id, worker = await space.add(make_rows(row_count)), uuid4()
    before = await count_read(space.db)
    await learn_of_rows(space.db, row_count)
    rows, from_row = await space.look(request_id, worker, BLOCK, scan=4 * BLOCK)
    while rows:
        await space.end(worker, *[ended(row, "invalid_credentials") for row in rows])
        rows, from_row = await space.look(request_id, worker, BLOCK, from_row=from_row, scan=4 * BLOCK)
    await learn_of_checks(space.db, row_count)
    lines = [line async for part in iterate_report_lines(space.db, request_id, with_extra=True) for line in part]
    assert len(lines) == row_count
    return await count_read(space.db) - before


async def count_read(link: Any) -> int:
    """Return how many rows have been read in this database."""
    await link.execute("SELECT pg_stat_force_next_flush()")
    asked = "SELECT sum(seq_tup_read + coalesce(idx_tup_fetch, 0))::integer FROM pg_stat_user_tables"
    return int(await link.fetchval(asked))


async def test_thousands_of_rows_after_a_few_cost_what_they_would_without(link: Any, keyring: Keyring) -> None:
    space = Space(link, keyring, await insert_workspace(link, "new", keyring))
    for _ in range(3):
        await check_all(space, 3)
    await link.execute("ANALYZE")  # as autovacuum does a minute later
    for _ in range(3):
        await check_all(space, 3)
    assert await check_all(space, MANY) < 14 * MANY


async def test_what_is_known_is_not_asked_for_again(link: Any, keyring: Keyring) -> None:
    space = Space(link, keyring, await insert_workspace(link, "known", keyring))
    await check_all(space, MANY)
    looked_at = "SELECT relname, analyze_count FROM pg_stat_user_tables WHERE relname IN ('request_rows', 'checks')"
    assert dict(await link.fetch(looked_at)) == {"request_rows": 1, "checks": 1}
    await check_all(space, MANY // 2)
    await learn_of_rows(link, MANY)
    await learn_of_checks(link, MANY)
    assert dict(await link.fetch(looked_at)) == {"request_rows": 1, "checks": 1}
    await learn_of_rows(link, 2 * MANY)
    assert dict(await link.fetch(looked_at)) == {"request_rows": 2, "checks": 1}
