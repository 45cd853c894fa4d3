"""Who tries three rows first and then uploads thousands is not served by what PostgreSQL learned from the three."""

from collections.abc import AsyncIterator, Mapping, Sequence
from itertools import count
from typing import Any
from uuid import uuid4

import pytest

from app.model import Row
from app.seal import Keyring
from app.store.db import open_pool
from app.store.lines import iterate_report_lines
from app.store.migrate import migrate
from app.store.sizes import analyze_outgrown_tables
from app.store.workspaces import insert_workspace
from tests.conftest import name_database, run_sql
from tests.store.ledger import Space, count_read, ended, make_row, make_rows

MANY, BLOCK = 3000, 25
_NUMBERS = count(1)


@pytest.fixture
async def link(each_url: str) -> AsyncIterator[Any]:
    """Yield a worker's connection to a database in which nothing has happened."""
    name = f"new_installation_{next(_NUMBERS)}"
    await run_sql(each_url, f"CREATE DATABASE {name}")
    url = name_database(each_url, name)
    await migrate(url)
    pool = await open_pool(url, most=1, keeps_plans=True)
    async with pool.acquire() as held:
        for table in ("request_rows", "checks"):
            await held.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = false)")
        yield held
    await pool.close()
    await run_sql(each_url, f"DROP DATABASE {name} WITH (FORCE)")


async def check_all(space: Space, rows: Sequence[Row], rooms: Mapping[str, int] | None = None) -> int:
    """Store a request, and check its rows and report them as a worker does. Returns how many rows were read for it."""
    request_id, worker = await space.add(rows), uuid4()
    before = await count_read(space.db)
    await analyze_outgrown_tables(space.db)
    claimed, from_row = await space.look(request_id, worker, BLOCK, scan=4 * BLOCK, rooms=rooms or {})
    while claimed:
        await space.end(worker, *[ended(row, "invalid_credentials") for row in claimed])
        claimed, from_row = await space.look(
            request_id, worker, BLOCK, from_row=from_row, scan=4 * BLOCK, rooms=rooms or {}
        )
    await analyze_outgrown_tables(space.db)
    lines = [line async for part in iterate_report_lines(space.db, request_id, with_extra=True) for line in part]
    assert len(lines) == len(rows)
    return await count_read(space.db) - before


@pytest.mark.parametrize("key", ["google", "mx{}.hosting.example"], ids=["one host", "many hosts"])
@pytest.mark.parametrize("tries", [0, 1, 6])
async def test_thousands_of_rows_after_a_few_cost_what_they_would_without(
    link: Any, keyring: Keyring, key: str, tries: int
) -> None:
    space = Space(link, keyring, await insert_workspace(link, "new", keyring))
    for number in range(tries):
        await check_all(space, make_rows(3))
        if number % 3 == 0:
            await link.execute("ANALYZE")  # as autovacuum does a minute later
    rows = [make_row(number, pace_key=key.format(number % 40)) for number in range(1, MANY + 1)]
    assert await check_all(space, rows) < 14 * MANY


async def test_what_an_older_version_had_looked_at_does_no_harm(link: Any, keyring: Keyring) -> None:
    space = Space(link, keyring, await insert_workspace(link, "older", keyring))
    await link.execute("ALTER TABLE request_rows ALTER COLUMN state SET STATISTICS -1")
    assert await check_all(space, make_rows(MANY)) < 14 * MANY


async def test_a_row_that_waits_at_the_front_makes_the_others_no_dearer(link: Any, keyring: Keyring) -> None:
    space = Space(link, keyring, await insert_workspace(link, "front", keyring))
    rows = [make_row(number, pace_key=f"mx{number % 40}.hosting.example") for number in range(2, MANY + 1)]
    rooms = {"full.hosting.example": 0}
    assert await check_all(space, [make_row(1, pace_key="full.hosting.example"), *rows], rooms) < 14 * MANY


async def test_what_is_known_is_not_looked_at_again(link: Any, keyring: Keyring) -> None:
    space = Space(link, keyring, await insert_workspace(link, "known", keyring))
    await check_all(space, make_rows(MANY))
    looked_at = "SELECT relname, analyze_count FROM pg_stat_user_tables WHERE relname IN ('request_rows', 'checks')"
    before = dict(await link.fetch(looked_at))
    assert min(before.values()) >= 1
    await check_all(space, make_rows(50))
    assert dict(await link.fetch(looked_at)) == before
    assert await link.fetchval("SHOW plan_cache_mode") == "force_generic_plan"
