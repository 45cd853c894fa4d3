"""I/O: those who wait for a turn at one gate, first come, first served.

A turn that becomes free wakes the one who is next, and nobody else: a thousand may wait at one host.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

from app.gate import Gate

SOONEST_SECONDS: Final = 1.0
"""Who found no turn is not to come back before that."""


class Turns:
    """The turns of one gate, and who waits for one."""

    def __init__(self, gate: Gate, now: Callable[[], float]) -> None:
        self.gate = gate
        self._now = now
        self._waiters: deque[tuple[asyncio.Future[float], float]] = deque()
        self._is_due = False
        self._timer: asyncio.TimerHandle | None = None

    async def take(self, seconds: float) -> float:
        """Take a turn. Returns 0 when it is taken; else none comes within `seconds`: in how many to ask again."""
        gate, now = self.gate, self._now()
        if not gate.waiting and gate.room(now) > 0:
            gate.start(now)
            return 0.0
        closed_for = gate.seconds_to_room(now)
        if seconds <= 0 or closed_for > seconds or gate.waiting >= max(1, int(gate.limit)):
            return max(closed_for, SOONEST_SECONDS)
        return await self._wait(seconds, now)

    def give_back(self) -> None:
        """End a turn."""
        self.gate.in_use -= 1
        self.look_soon()

    def look_soon(self) -> None:
        """See who is next, once what is known now has been told to the gate."""
        if self.gate.waiting and not self._is_due:
            self._is_due = True
            asyncio.get_running_loop().call_soon(self._look)

    async def _wait(self, seconds: float, now: float) -> float:
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[float] = loop.create_future()
        self._waiters.append((waiter, now + seconds))
        self.gate.waiting += 1
        timer = loop.call_later(seconds, self._send_away, waiter)
        self.look_soon()
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.cancelled():
                self.gate.waiting -= 1
            elif waiter.result() == 0.0:
                self.give_back()
            raise
        finally:
            timer.cancel()

    def _send_away(self, waiter: asyncio.Future[float]) -> None:
        if not waiter.done():
            self.gate.waiting -= 1
            waiter.set_result(max(self.gate.seconds_to_room(self._now()), SOONEST_SECONDS))

    def _look(self) -> None:
        """Give out what is free; when time alone brings more, send away who cannot wait so long."""
        self._is_due = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        gate, now, waiters = self.gate, self._now(), self._waiters
        while waiters and gate.room(now) > 0:
            waiter, _ = waiters.popleft()
            if not waiter.done():
                gate.waiting -= 1
                gate.start(now)
                waiter.set_result(0.0)
        while waiters and waiters[0][0].done():
            waiters.popleft()
        closed_for = gate.seconds_to_room(now)
        if not waiters or closed_for <= 0:
            return
        for waiter, until in list(waiters):
            if until < now + closed_for:
                self._send_away(waiter)
        if gate.waiting:
            self._timer = asyncio.get_running_loop().call_later(closed_for, self._look)
