"""I/O: how many calls a key made in this minute, counted in Redis for all processes together.

A key's first call of a minute waits for Redis, to learn what it asked elsewhere. Those after it are counted here at
once, and in Redis a moment later, many at a time: no call waits for that, and a process hears of calls elsewhere with
each one of its own. So a burst may pass the limit by what is under way. While Redis is away, each process counts alone.

Source: draft-ietf-httpapi-ratelimit-headers-10, sections 3 and 4, for the two headers.
"""

import asyncio
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
class _Count:
    """Calls of a key in this window: those that Redis counted, everywhere, and those of here that it has not yet."""

    told: int = 0
    untold: int = 0
    is_under_way: bool = False


@dataclass(slots=True)
class Rates:
    """Counts the calls of each key."""

    queue: Queue
    most: int
    _counts: dict[UUID, _Count] = field(default_factory=dict)
    _window: int = 0
    _telling: asyncio.Task[None] | None = None

    async def count(self, key_id: UUID) -> Rate:
        """Count one call."""
        now = time.time()
        window = int(now // WINDOW_SECONDS)
        if window != self._window:
            self._window, self._counts = window, {}
        is_first = key_id not in self._counts
        count = self._counts.setdefault(key_id, _Count())
        count.untold += 1
        if is_first:
            await self._tell({key_id: count})
        if count.untold and (self._telling is None or self._telling.done()):
            self._telling = asyncio.create_task(self._tell_rest())
        return Rate(self.most, self.most - count.told - count.untold, WINDOW_SECONDS - int(now % WINDOW_SECONDS))

    async def aclose(self) -> None:
        """Let Redis know of the last calls."""
        if self._telling is not None:
            await asyncio.wait([self._telling])

    async def _tell_rest(self) -> None:
        while news := {key: count for key, count in self._counts.items() if count.untold and not count.is_under_way}:
            if not await self._tell(news):
                return

    async def _tell(self, news: dict[UUID, _Count]) -> bool:
        """Count in Redis what it does not know yet. Returns whether it has; if it did not say, that is told again."""
        calls = [(f"bulk-connect:calls:{key_id}:{self._window}", count.untold, count) for key_id, count in news.items()]
        for _, _, count in calls:
            count.is_under_way = True
        try:
            async with self.queue.asking() as redis, redis.pipeline(transaction=False) as pipe:
                for name, untold, _ in calls:
                    pipe.incrby(name, untold)
                    pipe.expire(name, 2 * WINDOW_SECONDS)
                totals = (await pipe.execute())[::2]
        except QueueError:
            return False
        finally:
            for _, _, count in calls:
                count.is_under_way = False
        for (_, untold, count), total in zip(calls, totals, strict=True):
            count.told = int(total)
            count.untold -= untold
        return True
