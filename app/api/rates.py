"""I/O: how many calls a key made in this minute, counted in Redis; while that is away, in this process.

Source: draft-ietf-httpapi-ratelimit-headers-10, sections 3 and 4, for the two headers.
"""

import time
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from app.enqueue import Queue, QueueError

WINDOW_SECONDS: Final = 60


@dataclass(frozen=True, slots=True)
class Rate:
    """Where a key stands. `left`: calls still to have in this window; below 0: too many."""

    most: int
    left: int
    resets_in_seconds: int

    def headers(self) -> dict[str, str]:
        return {
            "RateLimit-Policy": f'"key";q={self.most};w={WINDOW_SECONDS}',
            "RateLimit": f'"key";r={max(0, self.left)};t={self.resets_in_seconds}',
        }


@dataclass(slots=True)
class Rates:
    """Counts the calls of each key."""

    queue: Queue
    most: int
    _counted: dict[UUID, int] = field(default_factory=dict)
    _window: int = 0

    async def count(self, key_id: UUID) -> Rate:
        """Count one call."""
        now = time.time()
        window = int(now // WINDOW_SECONDS)
        count = await self._count_in_redis(key_id, window)
        if count is None:
            count = self._count_here(key_id, window)
        return Rate(self.most, self.most - count, WINDOW_SECONDS - int(now % WINDOW_SECONDS))

    async def _count_in_redis(self, key_id: UUID, window: int) -> int | None:
        name = f"bulk-connect:calls:{key_id}:{window}"
        try:
            async with self.queue.asking() as redis, redis.pipeline(transaction=False) as pipe:
                pipe.incr(name)
                pipe.expire(name, 2 * WINDOW_SECONDS)
                count, _ = await pipe.execute()
        except QueueError:
            return None
        return int(count)

    def _count_here(self, key_id: UUID, window: int) -> int:
        if window != self._window:
            self._window = window
            self._counted.clear()
        self._counted[key_id] = self._counted.get(key_id, 0) + 1
        return self._counted[key_id]
