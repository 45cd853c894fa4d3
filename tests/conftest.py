"""What all tests may stand on: one PostgreSQL and one Valkey for the whole session, a fresh database for each file.

`ground`: the running servers. `database_url`, `pool`: a migrated, empty database of the file's own. `redis_url`:
Valkey, emptied before each file. `other_database_url`: a database of the oldest PostgreSQL that the system has, since
statements must do on both. Nothing is started before the first test that asks.
"""

import logging
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import structlog
from redis.asyncio import Redis

from app import embedded
from app.store.db import connect, open_pool
from app.store.migrate import migrate
from tests.real.servers import open_servers

_NUMBERS = count(1)
OTHER_VERSIONS = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))


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


@pytest.fixture(scope="session")
def other_ground() -> Iterator[embedded.Embedded]:
    if not OTHER_VERSIONS:
        pytest.skip("no other PostgreSQL is installed here")
    program = OTHER_VERSIONS[0]
    programs = replace(embedded.find_programs(), postgres=program, initdb=program.with_name("initdb"))
    with open_servers(programs) as servers:
        yield servers


@pytest.fixture(scope="session")
async def other_database_url(other_ground: embedded.Embedded) -> str:
    await run_sql(other_ground.database_url, "CREATE DATABASE test_of_others")
    url = name_database(other_ground.database_url, "test_of_others")
    await migrate(url)
    return url


def name_database(url: str, name: str) -> str:
    """Return the URL of another database on the same server."""
    return url.replace("/postgres?", f"/{name}?")


async def run_sql(url: str, statement: str) -> None:
    link = await connect(url)
    try:
        await link.execute(statement)
    finally:
        await link.close()
