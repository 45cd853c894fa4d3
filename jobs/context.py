"""I/O: what the jobs of one worker process share; made by the composition root and passed down."""

import asyncio
import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from app.enqueue import Queue
from app.metrics import Metrics
from app.reports import ReportStore
from app.seal import Keyring
from app.settings import Settings
from app.store.checks import ClaimedRow
from app.task import Kit
from jobs.recorder import Recorder
from jobs.rooms import Rooms
from jobs.slots import Slots


@dataclass(slots=True)
class News:
    """What a drain is told: that it rang, and the hosts at which checks of its request ended since it last waited."""

    rang: asyncio.Event = field(default_factory=asyncio.Event)
    keys: set[str] = field(default_factory=set)


@dataclass(slots=True)
class WorkerContext:
    """One worker process.

    `heart`: a connection for its beat alone, which must not wait for one. `checks`: the checks in flight, each with
    its row; `news`: rings when one of a request has ended, or when a host that it waits for has room for it; `rooms`:
    who waits for which. `draining`: the requests it claims rows of, with the drain.
    `claims`: when each claim that has not come back began. `beating`: held while it beats, or judges who does not;
    `beats_since`: since when its heart beats without a gap. `writing`: reports that it writes. `looked_at`: the request
    whose report was the last to be looked for in the store.
    """

    id: UUID
    settings: Settings
    db: Any
    heart: Any
    queue: Queue
    reports: ReportStore
    keyring: Keyring
    kit: Kit
    slots: Slots
    recorder: Recorder
    metrics: Metrics
    rooms: Rooms = field(default_factory=Rooms)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    checks: dict[asyncio.Task[None], ClaimedRow] = field(default_factory=dict)
    news: dict[UUID, News] = field(default_factory=dict)
    draining: dict[UUID, asyncio.Task[Any]] = field(default_factory=dict)
    drains: set[asyncio.Task[None]] = field(default_factory=set)
    writing: dict[UUID, asyncio.Task[None]] = field(default_factory=dict)
    claims: dict[object, float] = field(default_factory=dict)
    beating: asyncio.Lock = field(default_factory=asyncio.Lock)
    looked_at: UUID = field(default_factory=lambda: UUID(int=0))
    beats_since: float | None = None
    beat_at: float = 0.0

    @contextlib.contextmanager
    def claiming(self) -> Iterator[None]:
        """Note that rows may be claimed of which this process does not know yet."""
        claim = object()
        self.claims[claim] = time.monotonic()
        try:
            yield
        finally:
            del self.claims[claim]

    def list_held(self) -> list[tuple[UUID, int]]:
        """Return the rows in this process's hands: in a check, or waiting to be recorded."""
        return [*((row.request_id, row.row) for row in self.checks.values()), *self.recorder.list_held()]

    def list_busy(self) -> set[asyncio.Task[Any]]:
        """Return what should not be cut short: checks, drains, reports."""
        return {*self.checks, *self.draining.values(), *self.writing.values()}

    def note_beat(self, now: float) -> bool:
        """Note a beat that PostgreSQL took. After a gap, which it tells, the count of steady time begins anew."""
        is_gap = self.beats_since is None or now - self.beat_at > self.settings.worker_timeout_seconds / 2
        if is_gap:
            self.beats_since = now
        self.beat_at = now
        return is_gap

    def may_bury(self, now: float) -> bool:
        """Tell whether silence of others is their own: PostgreSQL has been there all the while."""
        timeout = self.settings.worker_timeout_seconds
        return self.beats_since is not None and now - self.beats_since >= timeout and now - self.beat_at <= timeout / 2


def describe_work(worker: WorkerContext) -> dict[str, object]:
    """Return what a worker has in hand: requests in the order they came, free slots, and who gets the next ones."""
    return {
        "requests": [str(request_id) for request_id in worker.draining],
        "checks": len(worker.checks),
        "freeSlots": worker.slots.free,
        "asking": worker.slots.describe(),
    }
