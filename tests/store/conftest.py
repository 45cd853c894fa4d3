"""What the tests of the store share: a workspace of each test's own."""

from itertools import count
from typing import Any

import pytest

from app.seal import Keyring, new_key_text
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
