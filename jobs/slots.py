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
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def free(self) -> int:
        return self._free

    async def acquire(self, most: int) -> int:
        """Wait for a slot, and take up to `most` while nobody else waits. Returns how many were taken."""
        while self._free == 0 or self._waiting:
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                self._pass_on(turn)
                raise
            break
        if self._free < most and not self._waiting:
            await asyncio.sleep(GATHER_SECONDS)
        # Others who came meanwhile get their share.
        share = self._free if not self._waiting else max(1, self._free // (len(self._waiting) + 1))
        taken = max(0, min(most, share))
        self._free -= taken
        self._wake()
        return taken

    def release(self, count: int = 1) -> None:
        """Give slots back."""
        self._free += count
        self._wake()

    def _wake(self) -> None:
        while self._free and self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return

    def _pass_on(self, turn: asyncio.Future[None]) -> None:
        """A waiter left: if it was its turn already, the next one's it is."""
        if turn in self._waiting:
            self._waiting.remove(turn)
        elif not turn.cancelled():
            self._wake()
