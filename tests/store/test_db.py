"""The pool."""

from typing import Any

from redis.asyncio import Redis

from app.store.db import is_reachable


async def test_database_answers(pool: Any, redis_url: str) -> None:
    assert await is_reachable(pool)
    async with Redis.from_url(redis_url) as redis:
        assert await redis.ping()
