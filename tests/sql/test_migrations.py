"""Migrations lead to the schema, once, however many start at the same moment, and applied ones never change."""

import asyncio
import itertools
from collections.abc import AsyncIterator

import pytest

from app import embedded
from app.store.db import StoreError, Unavailable, connect
from app.store.migrate import LOCK, MigrationError, migrate
from sql import list_migrations, read_schema
from tests.conftest import name_database, run_sql
from tests.sql.catalog import describe

ONE = ("0001_one.sql", "CREATE TABLE one (id integer)")
TWO = ("0002_two.sql", "CREATE TABLE two (id integer)")
CONCURRENT = ("0003_index.notx.sql", "CREATE INDEX CONCURRENTLY one_id ON one (id)")
BROKEN = ("0004_broken.sql", "CREATE TABLE half (id integer); SELECT 1 / 0")

_NUMBERS = itertools.count(1)


@pytest.fixture
async def empty(ground: embedded.Embedded) -> AsyncIterator[str]:
    """Yield a database with nothing in it."""
    name = f"test_migrations_{next(_NUMBERS)}"
    await run_sql(ground.database_url, f"CREATE DATABASE {name}")
    yield name_database(ground.database_url, name)
    await run_sql(ground.database_url, f"DROP DATABASE {name} WITH (FORCE)")


async def test_migrations_end_at_the_schema(empty: str, database_url: str) -> None:
    await run_sql(empty, read_schema())
    assert await describe(database_url) == await describe(empty)


async def test_a_second_run_does_nothing(empty: str) -> None:
    names = [name for name, _ in list_migrations()]
    assert await migrate(empty) == names
    assert await migrate(empty) == []


async def test_four_starters_at_once_apply_each_file_once(empty: str) -> None:
    applied = await asyncio.gather(*(migrate(empty, [ONE, TWO, CONCURRENT]) for _ in range(4)))
    assert sorted(applied) == [[], [], [], [ONE[0], TWO[0], CONCURRENT[0]]]


async def test_starters_wait_for_the_one_that_works(empty: str) -> None:
    holder = await connect(empty)
    await holder.execute("SELECT pg_advisory_lock($1)", LOCK)
    waiting = asyncio.create_task(migrate(empty, [ONE]))
    done, _ = await asyncio.wait({waiting}, timeout=0.3)
    assert not done
    await holder.close()
    assert await waiting == [ONE[0]]


async def test_what_is_new_is_added_to_what_is_there(empty: str) -> None:
    await migrate(empty, [ONE])
    assert await migrate(empty, [ONE, TWO]) == [TWO[0]]


async def test_an_applied_file_that_changed_is_refused_by_name(empty: str) -> None:
    await migrate(empty, [ONE])
    with pytest.raises(MigrationError, match=r"0001_one\.sql was applied and has changed since"):
        await migrate(empty, [(ONE[0], ONE[1] + " "), TWO])
    assert await migrate(empty, [ONE, TWO]) == [TWO[0]]


async def test_a_broken_file_leaves_nothing_behind_and_can_be_mended(empty: str) -> None:
    with pytest.raises(StoreError, match="DivisionByZero"):
        await migrate(empty, [ONE, BROKEN])
    assert not any("half" in line for line in await describe(empty))
    assert await migrate(empty, [ONE, (BROKEN[0], "CREATE TABLE whole (id integer)")]) == [BROKEN[0]]


async def test_a_table_in_use_is_waited_for_and_nobody_waits_long_for_that(
    empty: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.store.migrate.LOCK_PAUSE_SECONDS", 0.1)
    await migrate(empty, [ONE])
    column = ("0002_column.sql", "SET LOCAL lock_timeout = '100ms'; ALTER TABLE one ADD COLUMN more integer")
    user, other = await connect(empty), await connect(empty)
    async with user.transaction():
        await user.execute("INSERT INTO one (id) VALUES (1)")
        migrating = asyncio.create_task(migrate(empty, [ONE, column]))
        for number in range(2, 8):
            await asyncio.wait({migrating}, timeout=0.05)
            await asyncio.wait_for(other.execute(f"INSERT INTO one (id) VALUES ({number})"), 2)
        assert not migrating.done()
    assert await migrating == [column[0]]
    for link in (user, other):
        await link.close()


async def test_a_table_that_is_never_free_is_told_as_such(empty: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.store.migrate.LOCK_TRIES", 2)
    monkeypatch.setattr("app.store.migrate.LOCK_PAUSE_SECONDS", 0.01)
    await migrate(empty, [ONE])
    user = await connect(empty)
    async with user.transaction():
        await user.execute("LOCK TABLE one")
        with pytest.raises(Unavailable, match="LockNotAvailable"):
            await migrate(
                empty, [ONE, ("0002_x.sql", "SET LOCAL lock_timeout = '50ms'; ALTER TABLE one ADD x integer")]
            )
    await user.close()


async def test_every_migration_has_limits_to_its_waits() -> None:
    for name, text in list_migrations():
        if not name.endswith(".notx.sql"):
            assert "SET LOCAL lock_timeout" in text, name
            assert "SET LOCAL statement_timeout" in text, name


async def test_no_database_is_said_as_such() -> None:
    with pytest.raises(Unavailable):
        await migrate("postgresql://nobody@127.0.0.1:1/nothing")
