"""A worker inside the test's own process: everything that `run_worker` builds, without arq and without clocks."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from app.enqueue import open_queue
from app.login.check import close_tools, open_tools
from app.metrics import Metrics
from app.model import Encryption, Row, Side
from app.pace import Pace
from app.reports import open_report_store
from app.seal import Keyring
from app.settings import Settings
from app.store.db import new_id
from app.store.rows import list_row_results
from app.store.workers import beat
from app.task import Kit
from jobs.context import WorkerContext
from jobs.drain_request import drain_request
from jobs.recorder import Recorder
from jobs.slots import Slots
from tests.fakes.counting import Counting
from tests.store.ledger import Space, make_row

Hire = Callable[..., Any]
"""What the fixture `hands` gives: makes a worker of the test's process; its words are changes of settings."""


@dataclass
class Hands:
    """The worker, and the requests that it closed."""

    worker: WorkerContext
    closed: list[UUID] = field(default_factory=list)

    async def drain(self, request_id: UUID) -> None:
        """Drain a request, and wait until everything that was begun is written."""
        await drain_request(self.worker, request_id)
        await self.finish()

    async def finish(self) -> None:
        while self.worker.checks:
            await asyncio.wait(set(self.worker.checks))
        assert await self.worker.recorder.flush(10)


@contextlib.asynccontextmanager
async def hire(settings: Settings, db: Any, **changes: Any) -> AsyncIterator[Hands]:
    """Make a worker whose heart beat once."""
    settings = replace(settings, **changes)
    worker_id, queue = new_id(), open_queue(settings.redis_url)
    keyring = Keyring.from_texts(settings.secret_keys)
    closed: list[UUID] = []

    async def on_closed(request_id: UUID) -> None:
        closed.append(request_id)

    worker = WorkerContext(
        id=worker_id,
        settings=settings,
        db=db,
        heart=db,
        queue=queue,
        reports=open_report_store(settings, keyring.link_key()),
        keyring=keyring,
        kit=Kit(open_tools(settings), Pace(settings.provider_limits), settings.check_timeout_seconds),
        slots=Slots(settings.check_concurrency),
        recorder=Recorder(db, worker_id, on_closed),
        metrics=Metrics(),
    )
    await beat(db, worker_id, "here", 1, settings.check_concurrency)
    recording = asyncio.create_task(worker.recorder.run())
    try:
        yield Hands(worker, closed)
    finally:
        for task in list(worker.checks):
            task.cancel()
        await asyncio.gather(*worker.checks, return_exceptions=True)
        recording.cancel()
        await asyncio.gather(recording, return_exceptions=True)
        await queue.aclose()
        await close_tools(worker.kit.tools)


def box(servers: Counting, number: int, kind: str = "good", **kinds: str) -> Row:
    """Return the row of a mailbox at the counting server. `smtp`, `imap`: another kind for one of its sides."""
    email = f"{kind}-{number}@example.com"
    smtp, imap = (f"{kinds.get(side, kind)}-{number}@example.com" for side in ("smtp", "imap"))
    return make_row(
        number,
        email=email,
        pace_key="127.0.0.1",
        smtp=Side(True, email, smtp, "127.0.0.1", servers.smtp_port, Encryption.NONE),
        imap=Side(True, email, imap, "127.0.0.1", servers.imap_port, Encryption.NONE),
    )


def boxes(servers: Counting, count: int, kinds: Sequence[str] = ("good",)) -> list[Row]:
    return [box(servers, number, kinds[number % len(kinds)]) for number in range(1, count + 1)]


async def wait_until(is_so: Callable[[], bool], seconds: float = 10) -> None:
    ends_at = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < ends_at
        await asyncio.sleep(0.01)


async def codes_of(space: Space, request_id: UUID, number: int = 1) -> tuple[str, str, str]:
    (found,) = await list_row_results(space.db, request_id, after_row=number - 1, limit=1)
    return (found.outcome, found.smtp.code if found.smtp else "", found.imap.code if found.imap else "")
