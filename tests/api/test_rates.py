"""How calls of a key are counted: here at once, in Valkey a moment later, and by all processes together."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import pytest

from app.api.rates import WINDOW_SECONDS, Rates
from app.enqueue import open_queue
from app.settings import Settings


@contextlib.asynccontextmanager
async def counting(redis_url: str, most: int = 1000) -> AsyncIterator[Rates]:
    """Count as one API process does."""
    queue = open_queue(redis_url)
    rates = Rates(queue, most)
    try:
        yield rates
    finally:
        await rates.aclose()
        await queue.aclose()


@pytest.fixture(autouse=True)
async def _within_a_minute() -> None:
    """Begin with enough of a minute left that none ends in the middle."""
    left = WINDOW_SECONDS - time.time() % WINDOW_SECONDS
    if left < 5:
        await asyncio.sleep(left)


async def ask(rates: Rates, key_id: UUID) -> int:
    return (await rates.count(key_id)).left


async def test_calls_at_the_same_moment_count_once_each(settings: Settings) -> None:
    keys = [uuid4() for _ in range(10)]
    async with counting(settings.redis_url) as one, counting(settings.redis_url) as other:
        for _ in range(5):
            await asyncio.gather(*(rates.count(key) for _ in range(4) for key in keys for rates in (one, other)))
        for rates in (one, other):
            await rates.aclose()
    async with counting(settings.redis_url) as late:
        assert [await ask(late, key) for key in keys] == [1000 - 41] * len(keys)


async def test_first_calls_of_many_keys_are_told_once_each(settings: Settings) -> None:
    keys = [uuid4() for _ in range(40)]
    async with counting(settings.redis_url) as rates, counting(settings.redis_url) as other:
        await asyncio.gather(*map(rates.count, keys))
        assert [await ask(other, key) for key in keys] == [998] * len(keys)


async def test_a_process_hears_of_calls_elsewhere_with_its_next_one(settings: Settings) -> None:
    key = uuid4()
    async with counting(settings.redis_url) as one, counting(settings.redis_url) as other:
        assert await ask(one, key) == 999
        assert [await ask(other, key) for _ in range(10)][-1] == 989
        await other.aclose()
        await ask(one, key)
        await one.aclose()
        assert await ask(one, key) == 1000 - 13


async def test_no_call_but_the_first_waits_for_valkey(settings: Settings) -> None:
    key = uuid4()
    async with counting(settings.redis_url) as rates:
        await ask(rates, key)
        async with rates.queue.asking() as redis:
            await redis.client_pause(400)
        began = time.monotonic()
        assert [await ask(rates, key) for _ in range(50)] == list(range(998, 948, -1))
        assert time.monotonic() - began < 0.3


async def test_calls_while_valkey_is_away_are_told_when_it_is_back(settings: Settings) -> None:
    key = uuid4()
    async with counting(settings.redis_url) as rates, counting("redis://127.0.0.1:1") as alone:
        assert [await ask(alone, key) for _ in range(3)] == [999, 998, 997]
        await alone.aclose()
        alone.queue = rates.queue
        assert await ask(alone, key) == 996
        await alone.aclose()
        assert await ask(rates, key) == 995
