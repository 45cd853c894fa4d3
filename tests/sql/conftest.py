"""PostgreSQL as we bring it, and the system's where one is installed: statements must do on both."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from app import embedded
from app.store.migrate import migrate
from tests.conftest import name_database, run_sql
from tests.real.servers import open_servers

OTHER_VERSIONS = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))


@pytest.fixture(scope="session")
def other_ground() -> Iterator[embedded.Embedded]:
    """Yield the oldest PostgreSQL of this system."""
    if not OTHER_VERSIONS:
        pytest.skip("no other PostgreSQL is installed here")
    program = OTHER_VERSIONS[0]
    programs = replace(embedded.find_programs(), postgres=program, initdb=program.with_name("initdb"))
    with open_servers(programs) as servers:
        yield servers


@pytest.fixture(scope="session")
async def other_database_url(other_ground: embedded.Embedded) -> AsyncIterator[str]:
    await run_sql(other_ground.database_url, "CREATE DATABASE test_of_others")
    url = name_database(other_ground.database_url, "test_of_others")
    await migrate(url)
    yield url
