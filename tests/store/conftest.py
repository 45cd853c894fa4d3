"""What the tests of the store share: a workspace of each test's own."""

from collections.abc import AsyncIterator
from itertools import count
from typing import Any

import pytest

from app.seal import Keyring, new_key_text
from app.store.db import open_pool
from app.store.workspaces import insert_workspace
from tests.store.ledger import Space

_NUMBERS = count(1)


@pytest.fixture(scope="session")
def keyring() -> Keyring:
    return Keyring.from_texts([new_key_text()])


@pytest.fixture
async def space(pool: Any, keyring: Keyring) -> Space:
    """Return a new workspace, in which nothing has happened."""
    return Space(pool, keyring, await insert_workspace(pool, f"space {next(_NUMBERS)}", keyring))


@pytest.fixture(params=["database_url", "other_database_url"], ids=["our PostgreSQL", "the oldest here"])
def each_url(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(request.param))


@pytest.fixture
async def space_on_each(each_url: str, keyring: Keyring) -> AsyncIterator[Space]:
    """Yield such a workspace on our PostgreSQL, and then on the system's."""
    pool = await open_pool(each_url)
    yield Space(pool, keyring, await insert_workspace(pool, f"space {next(_NUMBERS)}", keyring))
    pool.terminate()
