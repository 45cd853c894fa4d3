"""I/O (it waits): the check slots of one worker process, shared by its drains first come, first served."""

import asyncio
from collections import deque
from typing import Final

GATHER_SECONDS: Final = 0.03
"""How long a drain waits for more slots before it claims with those it has: one claim for many rows."""


class Slots:
    """A counted set of slots with a queue before it."""

    def __init__(self, count: int) -> None:
        self._free = count
        self._waiting: deque[asyncio.Future[int]] = deque()

    @property
    def free(self) -> int:
        return self._free

    async def acquire(self, most: int) -> int:
        """Wait for a slot, and take up to `most` while nobody else waits. Returns how many were taken, at least one."""
        taken = await self._take_one()
        if taken < most and not self._waiting:
            try:
                await asyncio.sleep(GATHER_SECONDS)
            except asyncio.CancelledError:
                self.release(taken)
                raise
        # Others who came meanwhile get their share.
        more = min(most - taken, self._free // (len(self._waiting) + 1))
        self._free -= more
        return taken + more

    def release(self, count: int = 1) -> None:
        """Give slots back: to those who wait, one each, in the order they came."""
        self._free += count
        while self._free and self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                self._free -= 1
                turn.set_result(1)

    async def _take_one(self) -> int:
        if self._free and not self._waiting:
            self._free -= 1
            return 1
        turn: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.release()  # the slot was handed over already
            raise
