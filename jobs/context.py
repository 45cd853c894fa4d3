"""I/O: what the jobs of one worker process share; made by the composition root and passed down."""

import asyncio
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from app.enqueue import Queue
from app.metrics import Metrics
from app.reports import ReportStore
from app.seal import Keyring
from app.settings import Settings
from app.verify import Kit
from jobs.recorder import Recorder
from jobs.slots import Slots


@dataclass(slots=True)
class WorkerContext:
    """One worker process. `checks` are the checks in flight; `draining` the requests it claims rows of."""

    id: UUID
    settings: Settings
    db: Any
    queue: Queue
    reports: ReportStore
    keyring: Keyring
    kit: Kit
    slots: Slots
    recorder: Recorder
    metrics: Metrics
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    checks: set[asyncio.Task[None]] = field(default_factory=set)
    draining: set[UUID] = field(default_factory=set)
    drains: set[asyncio.Task[None]] = field(default_factory=set)
