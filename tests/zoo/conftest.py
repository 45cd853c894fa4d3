"""What the tests of the zoo share: its ground, and a loop that must stay calm."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.zoo.keeper import Ground, open_ground


@pytest.fixture(scope="session")
async def grounds() -> AsyncIterator[Ground]:
    async with open_ground() as opened:
        yield opened


@pytest.fixture
async def calm() -> AsyncIterator[None]:
    """Nothing in the loop's exception handler, and no task left."""
    loop = asyncio.get_running_loop()
    complaints: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: complaints.append(context))
    tasks = asyncio.all_tasks()
    yield
    for _ in range(50):
        await asyncio.sleep(0.01)
        if asyncio.all_tasks() <= tasks | {asyncio.current_task()}:
            break
    left = asyncio.all_tasks() - tasks - {asyncio.current_task()}
    loop.set_exception_handler(None)
    assert left == set()
    assert complaints == []
