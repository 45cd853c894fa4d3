"""I/O (the loop's clock): checks begin only as fast as the loop keeps up with those that have begun.

A TLS handshake takes milliseconds of the processor. Thousands that begin at one moment would hold the loop for seconds,
and with it heartbeats, deadlines and everybody's answers. So the loop's lateness says how many may begin in the next
moment: more while it is on time, half as many when it is late.
"""

import asyncio
from collections import deque
from typing import Final

MOMENT_SECONDS: Final = 0.01
LATE_SECONDS: Final = 0.04
FIRST_AT_ONCE: Final = 8.0
MOST_AT_ONCE: Final = 64.0
STEP: Final = 1.1


class Turnstile:
    """Shared by all checks of a loop."""

    def __init__(self) -> None:
        self._at_once = FIRST_AT_ONCE
        self._left = int(FIRST_AT_ONCE)
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._rings_at = 0.0

    async def enter(self) -> None:
        """Wait until one more check may begin; the first come go first."""
        loop = asyncio.get_running_loop()
        if self._timer is None:
            self._set(loop)
        if self._left > 0 and not self._waiting:
            self._left -= 1
            return
        turn = loop.create_future()
        self._waiting.append(turn)
        await turn

    def _set(self, loop: asyncio.AbstractEventLoop) -> None:
        self._rings_at = loop.time() + MOMENT_SECONDS
        self._timer = loop.call_at(self._rings_at, self._ring, loop)

    def _ring(self, loop: asyncio.AbstractEventLoop) -> None:
        is_late = loop.time() - self._rings_at > LATE_SECONDS
        is_unused = self._left >= int(self._at_once)
        if is_late:
            self._at_once = max(1.0, self._at_once / 2)
        elif self._left <= 0:
            self._at_once = min(MOST_AT_ONCE, self._at_once * STEP)
        self._left = int(self._at_once)
        while self._waiting and self._left > 0:
            turn = self._waiting.popleft()
            if not turn.done():  # else its check was cancelled
                turn.set_result(None)
                self._left -= 1
        self._timer = None
        if self._waiting or not is_unused:
            self._set(loop)
