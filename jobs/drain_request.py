"""I/O: claim rows of one request and keep the window of checks full; place 7 on the line.

A slot is taken before a row is claimed, so no row waits in this process while another could check it. A check
that ends frees its slot at once. Several workers may drain one request; each calls the others to help.
"""

import asyncio
import contextlib
import functools
import random
import time
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Final
from uuid import UUID

import structlog

from app.checked import SideResult
from app.enqueue import ring_drain
from app.model import Protocol
from app.seal import Sealer, SealError
from app.store.checks import ClaimedRow, claim_rows, list_settled_sides
from app.store.db import NotFound, StoreError
from app.store.requests import get_request_for_job
from app.store.sizes import analyze_outgrown_tables
from app.store.workers import end_drain, list_queued_keys, start_drain
from app.store.workspaces import get_workspace
from app.verdict import Progress
from jobs.check_row import Check, Errand, check_row, end_check, give_back
from jobs.context import News, WorkerContext
from jobs.looks import Looks

BLOCK_ROWS: Final = 25
SLICE_SECONDS: Final = 60.0
"""How long one drain claims before it rings for itself, for whoever hears it."""
PACED_SECONDS: Final = 0.05
"""How long places that come free are gathered before the next claim where hosts are full."""
MOST_CALLS: Final = 4
CALL_SECONDS: Final = 1.0
"""How often a drain that has more than enough to do looks for workers that could help."""

_LOG: Final = structlog.get_logger()


def begin_drain(worker: WorkerContext, request_id: UUID) -> None:
    """Start a drain as a task of this process."""
    task = asyncio.create_task(drain_request(worker, request_id))
    worker.drains.add(task)
    task.add_done_callback(worker.drains.discard)


async def drain_request(worker: WorkerContext, request_id: UUID) -> None:
    """Drain a request as far as this worker can. A second call for the same request does nothing."""
    if request_id in worker.draining or worker.stopping.is_set():
        return
    this = asyncio.current_task()
    assert this is not None
    worker.draining[request_id] = this
    worker.news[request_id] = News()
    try:
        await start_drain(worker.db, request_id, worker.id)
        errand = await _open_errand(worker, request_id)
        await analyze_outgrown_tables(worker.db)
        is_unfinished = await _claim_for_a_while(worker, errand)
        await end_drain(worker.db, request_id, worker.id)
    except NotFound:
        return
    except (StoreError, SealError) as error:
        # Rows stay queued; the sweep goes on with them, also after the operator has brought back a secret key.
        _LOG.warning("drain.waits", request_id=str(request_id), error=f"{type(error).__name__} {error}")
        return
    finally:
        del worker.draining[request_id], worker.news[request_id]
        worker.rooms.leave(request_id)
    if is_unfinished and not worker.stopping.is_set():
        await ring_drain(worker.queue, request_id)


async def _claim_for_a_while(worker: WorkerContext, errand: Errand) -> bool:
    """Claim and start checks until nothing is claimable, or the slice is over. Returns whether rows may be left."""
    request_id, workspace_id = errand.request.id, errand.request.workspace_id
    ends_at = time.monotonic() + SLICE_SECONDS
    calls_at = 0.0
    looks = Looks()
    keys: list[str] = []
    while not worker.stopping.is_set():
        if time.monotonic() >= ends_at:
            return True
        wanted, claimed = await _look(worker, errand, looks)
        if claimed:
            worker.rooms.leave(request_id)
        if looks.is_barren or (looks.is_resting(time.monotonic()) and not _has_room(worker, errand, keys)):
            keys = await list_queued_keys(worker.db, request_id)
            if not keys:
                return False
            worker.rooms.wait(request_id, workspace_id, keys)
            await _wait_for_room(worker, errand, keys, looks.rests_until)
        elif claimed == wanted and time.monotonic() >= calls_at:
            calls_at = time.monotonic() + CALL_SECONDS
            await _call_for_help(worker, request_id)
    return True


async def _look(worker: WorkerContext, errand: Errand, looks: Looks) -> tuple[int, int]:
    """Claim rows for the slots there are, and start their checks. Returns how many were wanted and how many came."""
    workspace_id = errand.request.workspace_id
    wanted = await worker.slots.acquire(BLOCK_ROWS, workspace_id)
    started = 0
    try:
        with worker.claiming():
            claimed, first_row = await _claim(worker, errand, wanted, looks)
            started = await _start_checks(worker, errand, claimed)
    finally:
        worker.slots.release(wanted - started, workspace_id)
    looks.note(wanted, len(claimed), first_row, time.monotonic())
    return wanted, len(claimed)


def _has_room(worker: WorkerContext, errand: Errand, keys: Iterable[str]) -> bool:
    """Whether one of these hosts has room for the request."""
    request, room_of = errand.request, worker.kit.pace.room_of
    return any(worker.rooms.room_for(request.id, request.workspace_id, key, room_of(key)) for key in keys)


async def _wait_for_room(worker: WorkerContext, errand: Errand, keys: Iterable[str], until: float) -> None:
    """Wait for room at the hosts of what is queued, or of what has ended meanwhile; no longer than `until`.

    `keys`: the hosts, as far as they are known. `until`: steady seconds; rows of others may have come back by then.
    """
    news = worker.news[errand.request.id]
    await asyncio.sleep(PACED_SECONDS)
    while (seconds := until - time.monotonic()) > 0 and not worker.stopping.is_set():
        news.rang.clear()
        if _has_room(worker, errand, {*keys, *news.keys}):
            break
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(news.rang.wait(), seconds)
    news.keys.clear()


async def _call_for_help(worker: WorkerContext, request_id: UUID) -> None:
    """Ring while there are workers that do not drain this request; a bell may also be heard by one that does."""
    _, others = await start_drain(worker.db, request_id, worker.id)
    for _ in range(min(others, MOST_CALLS)):
        await ring_drain(worker.queue, request_id, defer_seconds=random.uniform(0.0, 0.2))  # noqa: S311 - spreads bells


async def _claim(worker: WorkerContext, errand: Errand, most: int, looks: Looks) -> tuple[list[ClaimedRow], int]:
    if worker.stopping.is_set():
        return [], 1
    request_id, workspace_id, pace = errand.request.id, errand.request.workspace_id, worker.kit.pace
    default_room = pace.default_room()
    return await claim_rows(
        worker.db,
        request_id,
        worker.id,
        most,
        rooms=worker.rooms.share(request_id, workspace_id, pace.rooms(), default_room),
        default_room=default_room,
        retry_budget=timedelta(seconds=worker.settings.retry_budget_seconds),
        from_row=looks.from_row,
        scan=most * looks.scan_factor,
    )


async def _start_checks(worker: WorkerContext, errand: Errand, claimed: list[ClaimedRow]) -> int:
    """Start the checks of rows that are claimed; each then holds a slot. Returns how many: all or, at the end, none."""
    settled: Mapping[tuple[int, Protocol], SideResult] = {}
    half_done = [row.row for row in claimed if _has_settled_side(row)]
    try:
        if half_done:
            await analyze_outgrown_tables(worker.db)
            settled = await list_settled_sides(worker.db, errand.request.id, half_done)
    except BaseException:
        for row in claimed:
            give_back(worker, row)
        raise
    for row in claimed:
        sides = {of: side for (number, of), side in settled.items() if number == row.row and not _is_open(row, of)}
        progress = Progress(on_arrival=functools.partial(worker.rooms.arrive, row.pace_key))
        check = Check(row, errand.request.workspace_id, sides, time.monotonic(), progress)
        task = asyncio.create_task(check_row(worker, errand, check))
        worker.checks[task] = row
        worker.rooms.begin(row.request_id, check.workspace_id, row.pace_key)
        task.add_done_callback(functools.partial(end_check, worker, check))
        if worker.stopping.is_set():
            task.cancel()  # before its first step
    return len(claimed)


async def _open_errand(worker: WorkerContext, request_id: UUID) -> Errand:
    request = await get_request_for_job(worker.db, request_id)
    workspace = await get_workspace(worker.db, request.workspace_id)
    try:
        opener = Sealer(worker.keyring.unwrap(request.data_key)) if request.data_key is not None else None
    except SealError:
        _LOG.error("seal.broken", request_id=str(request_id))
        opener = None
    return Errand(request, opener, Sealer(worker.keyring.unwrap(workspace.data_key)))


def _is_open(row: ClaimedRow, protocol: Protocol) -> bool:
    return row.smtp_open if protocol is Protocol.SMTP else row.imap_open


def _has_settled_side(row: ClaimedRow) -> bool:
    return (row.smtp.wanted and not row.smtp_open) or (row.imap.wanted and not row.imap_open)
