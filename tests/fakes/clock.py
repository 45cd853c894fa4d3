"""I/O: an event loop whose clock jumps to the next timer when nothing is ready, and stands still otherwise.

Sockets are real. What goes over the loopback arrives before the sender's call returns, so when no socket is ready,
nothing is under way, and only time can bring something new: an hour of pauses passes in seconds. What code takes to
run is not counted, so that a busy machine sees the same seconds as an idle one.
Threads do not know of the jumps, so nothing that runs here may wait for one.
"""

import asyncio
import selectors
from collections.abc import Coroutine, Mapping
from typing import Any, TypeVar

T = TypeVar("T")

GRACE_SECONDS = 0.0002
"""How long sockets are really waited for before a jump; epoll makes a millisecond of it."""


class _Jumping(selectors.BaseSelector):
    def __init__(self) -> None:
        self._inner = selectors.DefaultSelector()
        self.jumped_seconds = 1000.0  # not 0, which may stand for "never"

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._inner.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._inner.unregister(fileobj)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._inner.modify(fileobj, events, data)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._inner.get_map()

    def close(self) -> None:
        self._inner.close()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or timeout <= 0:
            return self._inner.select(timeout)
        ready = self._inner.select(GRACE_SECONDS)
        if not ready:
            self.jumped_seconds += timeout
        return ready


class JumpingLoop(asyncio.SelectorEventLoop):
    """An event loop whose time is what it has jumped over."""

    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.jumped_seconds


def run_without_waiting(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on a loop of its own that jumps."""
    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        return runner.run(coroutine)
