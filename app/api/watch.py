"""I/O: tells status calls that wait when their request has changed: one query for all of them, however many wait."""

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

import structlog

from app.store.db import StoreError
from app.store.requests import list_versions

LOOK_SECONDS: Final = 0.25
CALM_SECONDS: Final = 3.0
"""Rows end many times a second: a call that waits hears of counts after this long, of a new state at once."""
MOST_TOLD_IN_A_SECOND: Final = 10
"""Of counts: where more calls wait, each waits longer, so that a crowd costs no more than a few do."""

_LOG: Final = structlog.get_logger()


@dataclass(eq=False, slots=True)
class _Turn:
    """One call that waits, and what it knows."""

    version: int
    state: str
    calm_until: float
    news: asyncio.Future[None]


@dataclass(slots=True)
class Watch:
    """Who waits for which request. `run` looks while somebody does."""

    db: Any
    _waiting: dict[UUID, set[_Turn]] = field(default_factory=dict)
    _anyone: asyncio.Event = field(default_factory=asyncio.Event)
    _count: int = 0
    _is_over: bool = False

    async def changed(self, request_id: UUID, version: int, state: str, seconds: float) -> None:
        """Return when a request is no longer as the caller knows it, or when the time is over."""
        if self._is_over:
            return
        news: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._count += 1
        calm = max(CALM_SECONDS, self._count / MOST_TOLD_IN_A_SECOND)
        turn = _Turn(version, state, time.monotonic() + calm, news)
        waiting = self._waiting.setdefault(request_id, set())
        waiting.add(turn)
        self._anyone.set()
        try:
            await asyncio.wait([news], timeout=seconds)
        finally:
            self._count -= 1
            waiting.discard(turn)
            if not waiting and self._waiting.get(request_id) is waiting:
                del self._waiting[request_id]

    async def run(self) -> None:
        """Look for ever; cancel it to end."""
        while True:
            await self._anyone.wait()
            await asyncio.sleep(LOOK_SECONDS)
            if not self._waiting:
                self._anyone.clear()
                continue
            try:
                seen = await list_versions(self.db, list(self._waiting))
            except StoreError as error:
                _LOG.warning("watch.waits", error=str(error))
                continue
            now = time.monotonic()
            for request_id, turns in self._waiting.items():
                # A request that is gone is news too: its reader is told that it is not there.
                version, state = seen.get(request_id, (-1, ""))
                for turn in turns:
                    if state != turn.state or (version != turn.version and now >= turn.calm_until):
                        _wake(turn)

    def close(self) -> None:
        """Answer everybody now, and whoever comes later at once: the process is leaving."""
        self._is_over = True
        for turns in self._waiting.values():
            for turn in turns:
                _wake(turn)


def _wake(turn: _Turn) -> None:
    if not turn.news.done():
        turn.news.set_result(None)
