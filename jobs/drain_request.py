"""I/O: claim rows of one request and keep the window of checks full; place 7 on the line.

A slot is taken before a row is claimed, so no row waits in this process while another could check it. A check
that ends frees its slot at once. Several workers may drain one request; each calls the next to help.
"""

import asyncio
import functools
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import structlog

from app.enqueue import ring_drain
from app.model import Protocol, Save, Secrets, SideResult
from app.seal import Sealer, SealError, account_binding, row_binding
from app.store.checks import ClaimedRow, RowRecord, claim_rows, list_settled_sides
from app.store.db import NotFound, StoreError, Unavailable
from app.store.requests import RequestRecord, get_request_for_job
from app.store.workers import end_drain, has_queued_rows, start_drain
from app.store.workspaces import get_workspace
from app.verify import RowTask, RowVerdict, SideVerdict, verify_row
from jobs.context import WorkerContext
from jobs.decide import Terms, decide, hand_back, interrupted_result, is_interrupted, is_kept, make_account

BLOCK_ROWS: Final = 25
SLICE_SECONDS: Final = 60.0
"""How long one drain claims before it rings for itself: jobs stay short, so that arq forgets none for long."""
PACED_SECONDS: Final = 0.1
AWAY_SECONDS: Final = 1.0

_LOG: Final = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Errand:
    """One request while it is drained: what its rows are opened with, and what its accounts are sealed with."""

    request: RequestRecord
    opener: Sealer | None
    account_sealer: Sealer


async def drain_request(worker: WorkerContext, request_id: UUID) -> None:
    """Drain a request as far as this worker can. A second call for the same request does nothing."""
    if request_id in worker.draining or worker.stopping.is_set():
        return
    worker.draining.add(request_id)
    try:
        _, others = await start_drain(worker.db, request_id, worker.id)
        errand = await _open_errand(worker, request_id)
        is_unfinished = await _claim_for_a_while(worker, errand, others)
        await end_drain(worker.db, request_id, worker.id)
    except NotFound:
        return
    except (Unavailable, SealError) as error:
        # Rows stay queued; the sweep rings again, also after the operator has brought back a secret key.
        _LOG.warning("drain.waits", request_id=str(request_id), error=f"{type(error).__name__} {error}")
        return
    finally:
        worker.draining.discard(request_id)
    if is_unfinished and not worker.stopping.is_set():
        await ring_drain(worker.queue, request_id)


async def _claim_for_a_while(worker: WorkerContext, errand: Errand, others: int) -> bool:
    """Claim and start checks until nothing is claimable, or the slice is over. Returns whether rows may be left."""
    request_id = errand.request.id
    ends_at = time.monotonic() + SLICE_SECONDS
    has_called = False
    while not worker.stopping.is_set():
        if time.monotonic() >= ends_at:
            return True
        taken = await worker.slots.acquire(BLOCK_ROWS)
        claimed: list[ClaimedRow] = []
        try:
            if not worker.stopping.is_set():
                claimed = await _claim(worker, request_id, taken)
        finally:
            worker.slots.release(taken - len(claimed))
        if not claimed:
            if not await has_queued_rows(worker.db, request_id):
                return False
            await asyncio.sleep(PACED_SECONDS)  # the hosts of what is left have no room now
            continue
        if others and not has_called and len(claimed) == taken:
            has_called = await ring_drain(worker.queue, request_id, defer_seconds=random.uniform(0.0, 0.2))  # noqa: S311 - spreads bells
        await _start_checks(worker, errand, claimed)
    return True


async def _claim(worker: WorkerContext, request_id: UUID, most: int) -> list[ClaimedRow]:
    if most == 0:
        return []
    pace = worker.kit.pace
    return await claim_rows(
        worker.db,
        request_id,
        worker.id,
        most,
        rooms=pace.rooms(),
        default_room=pace.default_room(),
        retry_budget=timedelta(seconds=worker.settings.retry_budget_seconds),
    )


async def _start_checks(worker: WorkerContext, errand: Errand, claimed: list[ClaimedRow]) -> None:
    """Start the checks of rows that are claimed, with the slots that are held for them."""
    settled: Mapping[tuple[int, Protocol], SideResult] = {}
    half_done = [row.row for row in claimed if _has_settled_side(row)]
    if half_done:
        try:
            settled = await list_settled_sides(worker.db, errand.request.id, half_done)
        except StoreError:
            for row in claimed:
                worker.slots.release()
                worker.recorder.add(hand_back(row, 0))
            raise
    for row in claimed:
        results = {of: side for (number, of), side in settled.items() if number == row.row and not _is_open(row, of)}
        task = asyncio.create_task(_check_row(worker, errand, row, results))
        worker.checks.add(task)
        task.add_done_callback(functools.partial(_end_check, worker, row))


def _end_check(worker: WorkerContext, row: ClaimedRow, task: asyncio.Task[None]) -> None:
    """A check that a defect of ours ended goes back as if its worker had died: counted, and never without end."""
    worker.checks.discard(task)
    error = None if task.cancelled() else task.exception()
    if error is not None:
        _LOG.error("check.failed", request_id=str(row.request_id), row=row.row, exc_info=error)
        worker.recorder.add(hand_back(row, 0))


async def _check_row(
    worker: WorkerContext, errand: Errand, row: ClaimedRow, settled: dict[Protocol, SideResult]
) -> None:
    started = time.monotonic()
    try:
        secrets = _open_secrets(errand, row)
        verdict = await _verify(worker, errand, row, secrets)
        record = _conclude(worker, errand, row, settled, verdict, secrets, started)
    except asyncio.CancelledError:
        worker.recorder.add(hand_back(row, _elapsed_ms(started)))
        raise
    finally:
        worker.slots.release()
    worker.recorder.add(record)


async def _verify(worker: WorkerContext, errand: Errand, row: ClaimedRow, secrets: Secrets) -> RowVerdict:
    """Check the open sides; those of which two logins went unanswered are not tried a third time."""
    given_up = {of for of in Protocol if _is_open(row, of) and is_interrupted(row, of)}
    task = RowTask(
        email=row.email,
        provider=row.provider,
        pace_key=row.pace_key,
        smtp=row.smtp if row.smtp_open and Protocol.SMTP not in given_up else None,
        imap=row.imap if row.imap_open and Protocol.IMAP not in given_up else None,
        secrets=secrets,
        auto_correct=errand.request.auto_correct,
    )
    verdict = await verify_row(task, worker.kit)
    if Protocol.SMTP in given_up:
        result = interrupted_result(Protocol.SMTP, row.smtp)
        verdict = replace(verdict, smtp=SideVerdict(result, row.smtp, sent_credentials=False, is_answered=True))
    if Protocol.IMAP in given_up:
        result = interrupted_result(Protocol.IMAP, row.imap)
        verdict = replace(verdict, imap=SideVerdict(result, row.imap, sent_credentials=False, is_answered=True))
    return verdict


def _conclude(
    worker: WorkerContext,
    errand: Errand,
    row: ClaimedRow,
    settled: dict[Protocol, SideResult],
    verdict: RowVerdict,
    secrets: Secrets,
    started: float,
) -> RowRecord:
    now = datetime.now(UTC)
    budget = timedelta(seconds=worker.settings.retry_budget_seconds)
    terms = Terms(errand.request.retry_until or now + budget, now, random.random())  # noqa: S311 - spreads retries
    record = decide(row, verdict, settled, terms, _elapsed_ms(started))
    for side in record.sides:
        worker.metrics.count_check(side, row.provider)
    is_recheck = errand.request.kind == "reconnect"
    if not is_kept(record, Save(errand.request.save), is_recheck=is_recheck):
        return record
    results = settled | {side.protocol: side for side in record.sides}
    workspace_id = errand.request.workspace_id
    # An account that was only checked again keeps the credentials that it has.
    binding = account_binding(workspace_id, row.email)
    sealed = None if is_recheck else errand.account_sealer.seal(secrets, binding)
    return replace(record, account=make_account(workspace_id, row, verdict, results, sealed, secrets))


def _open_secrets(errand: Errand, row: ClaimedRow) -> Secrets:
    """Return the row's credentials; none where they cannot be opened, which the check tells as our own fault."""
    if errand.opener is None:
        return Secrets()
    try:
        return errand.opener.open(
            row.sealed,
            row_binding(row.request_id, row.row),
            smtp_is_token=row.smtp_is_token,
            imap_is_token=row.imap_is_token,
        )
    except SealError:
        _LOG.error("seal.broken", request_id=str(row.request_id), row=row.row)
        return Secrets()


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


def _elapsed_ms(started: float) -> int:
    return int((time.monotonic() - started) * 1000)
