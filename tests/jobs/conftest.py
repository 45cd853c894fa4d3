"""What the tests of jobs share: a workspace of each test's own, and workers that live in the test's own process."""

import asyncio
import contextlib
import ipaddress
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from app.seal import Keyring, new_key_text
from app.settings import Settings
from app.store.workspaces import insert_workspace
from tests.fakes.counting import Counting, count_logins
from tests.jobs.hands import Hands, hire
from tests.jobs.outage import Outage
from tests.store.ledger import Space

_NUMBERS = count(1)


@pytest.fixture(scope="session")
def key_text() -> str:
    return new_key_text()


@pytest.fixture
async def space(pool: Any, key_text: str) -> Space:
    """Return a new workspace in a database where nothing else happens."""
    await pool.execute("DELETE FROM requests")
    await pool.execute("DELETE FROM workers")
    keyring = Keyring.from_texts([key_text])
    return Space(pool, keyring, await insert_workspace(pool, f"space {next(_NUMBERS)}", keyring))


@pytest.fixture
async def servers() -> AsyncIterator[Counting]:
    async with count_logins(0.02) as book:
        yield book


@pytest.fixture
def settings(servers: Counting, database_url: str, redis_url: str, key_text: str, tmp_path: Path) -> Settings:
    return Settings(
        database_url=database_url,
        redis_url=redis_url,
        secret_keys=(key_text,),
        data_dir=tmp_path,
        metrics_address="127.0.0.1:0",
        check_concurrency=20,
        allow_networks=(ipaddress.ip_network("127.0.0.0/8"),),
        allow_ports=frozenset({servers.smtp_port, servers.imap_port}),
    )


@pytest.fixture
async def hands(settings: Settings, pool: Any) -> AsyncIterator[Callable[..., Any]]:
    """Return what makes a worker of this process; `changes` are settings."""
    async with contextlib.AsyncExitStack() as stack:

        async def make(**changes: Any) -> Hands:
            return await stack.enter_async_context(hire(settings, pool, **changes))

        yield make


@pytest.fixture(scope="module")
def outage() -> Iterator[Outage]:
    own = Outage()
    own.start()
    try:
        yield own
    finally:
        own.remove()


@pytest.fixture(autouse=True)
async def no_task_is_left() -> AsyncIterator[None]:
    """Every task that a test's worker started has ended when the test has."""
    before = asyncio.all_tasks()
    yield
    left = {task for task in asyncio.all_tasks() - before if "check_row" in repr(task) or "drain" in repr(task)}
    assert left == set()
