"""What all tests may stand on: one PostgreSQL and one Valkey for the whole session, a fresh database for each file.

`ground`: the running servers. `database_url`, `pool`: a migrated, empty database of the file's own. `redis_url`:
Valkey, emptied before each file. Nothing is started before the first test that asks.
"""

import logging
from collections.abc import AsyncIterator, Iterator
from itertools import count
from typing import Any

import pytest
import structlog
from redis.asyncio import Redis

from app import embedded
from app.store.db import connect, open_pool
from app.store.migrate import migrate
from tests.real.servers import open_servers

_NUMBERS = count(1)


@pytest.fixture(scope="session")
def ground() -> Iterator[embedded.Embedded]:
    with open_servers() as servers:
        yield servers


@pytest.fixture
def own_log() -> Iterator[None]:
    """Undo afterwards what a test sets up of the process's log."""
    root = logging.getLogger()
    kept, level = list(root.handlers), root.level
    yield
    structlog.reset_defaults()
    root.handlers[:] = kept
    root.setLevel(level)


@pytest.fixture(scope="session")
async def template(ground: embedded.Embedded) -> str:
    """Return the name of a migrated database that nobody is connected to."""
    await run_sql(ground.database_url, "CREATE DATABASE template_of_tests STRATEGY wal_log")
    await migrate(name_database(ground.database_url, "template_of_tests"))
    return "template_of_tests"


@pytest.fixture(scope="module")
async def database_url(ground: embedded.Embedded, template: str) -> AsyncIterator[str]:
    name = f"test_{next(_NUMBERS)}"
    await run_sql(ground.database_url, f"CREATE DATABASE {name} TEMPLATE {template}")
    yield name_database(ground.database_url, name)
    await run_sql(ground.database_url, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="module")
async def pool(database_url: str) -> AsyncIterator[Any]:
    opened = await open_pool(database_url, most=10)
    yield opened
    opened.terminate()


@pytest.fixture(scope="module")
async def redis_url(ground: embedded.Embedded) -> str:
    async with Redis.from_url(ground.redis_url) as redis:
        await redis.flushall()
    return ground.redis_url


def name_database(url: str, name: str) -> str:
    """Return the URL of another database on the same server."""
    return url.replace("/postgres?", f"/{name}?")


async def run_sql(url: str, statement: str) -> None:
    link = await connect(url)
    try:
        await link.execute(statement)
    finally:
        await link.close()
