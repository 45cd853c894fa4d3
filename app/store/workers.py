"""I/O: who is alive, who drains what, and what the sweep finds undone."""

from collections.abc import Collection
from datetime import timedelta
from typing import Final
from uuid import UUID

from app.store.db import Database, bind

_BEAT: Final = bind("beat")
_BURY_WORKERS: Final = bind("bury_workers")
_END_DRAIN: Final = bind("end_drain")
_END_OTHER_DRAINS: Final = bind("end_other_drains")
_FREE_LOST_ROWS: Final = bind("free_lost_rows")
_FREE_ROWS: Final = bind("free_rows")
_LEAVE_WORKER: Final = bind("leave_worker")
_LIST_OWN_ROWS: Final = bind("list_own_rows")
_LIST_QUEUED_KEYS: Final = bind("list_queued_keys")
_LIST_REPORTS_TO_WRITE: Final = bind("list_reports_to_write")
_LIST_REQUESTS_TO_DRAIN: Final = bind("list_requests_to_drain")
_MAKE_DUE: Final = bind("make_due")
_START_DRAIN: Final = bind("start_drain")

SCANNED_ROWS: Final = 500
MOST_KEYS: Final = 20


async def beat(db: Database, worker_id: UUID, host: str, pid: int, slots: int) -> None:
    """Say that a worker lives."""
    await _BEAT.run(db, worker_id, host, pid, slots)


async def bury_workers(db: Database, worker_id: UUID, silence: timedelta) -> list[UUID]:
    """Forget workers that have been silent for longer than `silence`; `worker_id`: who says so, and has beaten lately.

    After PostgreSQL was away all look silent, whoever asks among them: nobody is forgotten then.
    """
    return [record["id"] for record in await _BURY_WORKERS.many(db, worker_id, silence)]


async def start_drain(db: Database, request_id: UUID, worker_id: UUID) -> tuple[bool, int]:
    """Register a drain. Returns whether this worker had none yet, and how many other workers could help."""
    record = await _START_DRAIN.one(db, request_id, worker_id)
    return record["is_new"], record["others"]


async def end_drain(db: Database, request_id: UUID, worker_id: UUID) -> None:
    """A worker claims no more rows of a request."""
    await _END_DRAIN.run(db, request_id, worker_id)


async def end_other_drains(db: Database, worker_id: UUID, request_ids: Collection[UUID]) -> None:
    """Forget a worker's drains of other requests than these."""
    await _END_OTHER_DRAINS.run(db, worker_id, list(request_ids))


async def free_lost_rows(
    db: Database, worker_id: UUID, age: timedelta, held: Collection[tuple[UUID, int]]
) -> list[tuple[UUID, int]]:
    """Give back rows that a worker claimed longer ago than `age` and that are not among those it holds."""
    request_ids, rows = [request_id for request_id, _ in held], [row for _, row in held]
    found = await _FREE_LOST_ROWS.many(db, worker_id, age, request_ids, rows)
    return [(record["request_id"], record["row"]) for record in found]


async def free_rows(db: Database) -> int:
    """Give back the rows of workers that are no more. Returns how many."""
    return len(await _FREE_ROWS.many(db))


async def leave_worker(db: Database, worker_id: UUID) -> None:
    """A worker ends by itself."""
    await _LEAVE_WORKER.run(db, worker_id)


async def make_due(db: Database) -> list[UUID]:
    """Let rows that have waited long enough be claimed again. Returns their requests."""
    return [record["request_id"] for record in await _MAKE_DUE.many(db)]


async def list_own_rows(db: Database, worker_id: UUID) -> set[tuple[UUID, int, int]]:
    """Return request, row and attempt of all that a worker checks."""
    return {tuple(record) for record in await _LIST_OWN_ROWS.many(db, worker_id)}


async def list_queued_keys(db: Database, request_id: UUID) -> list[str]:
    """Return the pace keys of the next queued rows of a request, some of them; none: no row may be claimed now."""
    return [record["pace_key"] for record in await _LIST_QUEUED_KEYS.many(db, request_id, SCANNED_ROWS, MOST_KEYS)]


async def list_requests_to_drain(db: Database, worker_id: UUID) -> list[UUID]:
    """Return requests with claimable rows that a worker does not drain, oldest first."""
    return [record["id"] for record in await _LIST_REQUESTS_TO_DRAIN.many(db, worker_id)]


async def list_reports_to_write(db: Database, age: timedelta) -> list[UUID]:
    """Return requests whose rows all ended longer ago than `age` and whose report is missing."""
    return [record["id"] for record in await _LIST_REPORTS_TO_WRITE.many(db, age)]
