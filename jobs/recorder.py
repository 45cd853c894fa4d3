"""I/O: results written in blocks, none lost: what PostgreSQL could not take is held until it can."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any, Final
from uuid import UUID

import structlog

from app.store.checks import RowRecord, record_results
from app.store.db import StoreError, Unavailable

BLOCK: Final = 200
GATHER_SECONDS: Final = 0.05
LONGEST_WAIT_SECONDS: Final = 5.0

_LOG: Final = structlog.get_logger()

OnClosed = Callable[[UUID], Awaitable[object]]


class Recorder:
    """Collects what checks came to and writes it, at most some 100 ms later."""

    def __init__(self, db: Any, worker_id: UUID, on_closed: OnClosed) -> None:
        """`on_closed` is called for each request whose last row was recorded."""
        self._db = db
        self._worker_id = worker_id
        self._on_closed = on_closed
        self._held: list[RowRecord] = []
        self._came = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()

    def add(self, record: RowRecord) -> None:
        """Take what an attempt came to."""
        self._held.append(record)
        self._empty.clear()
        self._came.set()

    def count_held(self) -> int:
        """Return how many records are not written yet."""
        return len(self._held)

    def list_held(self) -> list[tuple[UUID, int]]:
        """Return the rows whose records are not written yet."""
        return [(record.request_id, record.row) for record in self._held]

    async def run(self) -> None:
        """Write for ever; cancel it after `flush`."""
        wait = GATHER_SECONDS
        while True:
            await self._came.wait()
            await asyncio.sleep(wait)
            try:
                await self._write_block()
                wait = GATHER_SECONDS
            except Unavailable as error:
                wait = min(max(wait * 2, 0.2), LONGEST_WAIT_SECONDS)
                _LOG.warning("record.waits", error=str(error), held=len(self._held))

    async def flush(self, timeout_seconds: float) -> bool:
        """Wait until all is written. Returns whether it was, in time."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._empty.wait(), timeout_seconds)
        return self._empty.is_set()

    async def _write_block(self) -> None:
        block = self._held[:BLOCK]
        try:
            closed = await record_results(self._db, self._worker_id, block)
        except Unavailable:
            raise
        except (StoreError, ValueError, TypeError):
            closed = await self._write_one_by_one(block)
        del self._held[: len(block)]
        if not self._held:
            self._came.clear()
            self._empty.set()
        for request_id in closed:
            await self._on_closed(request_id)

    async def _write_one_by_one(self, block: list[RowRecord]) -> list[UUID]:
        """One record that cannot be written must not take the others with it; the sweep frees its row."""
        closed: list[UUID] = []
        for record in block:
            try:
                closed += await record_results(self._db, self._worker_id, [record])
            except Unavailable:
                raise
            except (StoreError, ValueError, TypeError) as error:
                words = f"{type(error).__name__} {error}"
                _LOG.error("record.refused", request_id=str(record.request_id), row=record.row, error=words)
        return closed
