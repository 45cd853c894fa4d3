"""I/O: one claimed row from its sealed credentials to its record, or, cut short, back to where it came from.

A drain starts one task for each row; the task holds a slot, and `end_check` lets go of it whatever happened.
"""

import asyncio
import random
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import structlog

from app.checked import SideResult
from app.model import Protocol, Save, Secrets
from app.seal import Sealer, SealError, account_binding, row_binding
from app.store.checks import ClaimedRow, RowRecord
from app.store.requests import RequestRecord
from app.task import RowTask
from app.verdict import Progress, RowVerdict, SideVerdict
from app.verify import verify_row
from jobs.context import WorkerContext
from jobs.decide import Terms, count_tries, decide, hand_back, interrupted_result, is_interrupted, is_kept, make_account

_LOG: Final = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Errand:
    """One request while it is drained: what its rows are opened with, and what its accounts are sealed with."""

    request: RequestRecord
    opener: Sealer | None
    account_sealer: Sealer


@dataclass(slots=True)
class Check:
    """One row while it is checked, in a slot of its workspace.

    `settled`: results of its sides that are not open. `started_at`: steady seconds.
    """

    row: ClaimedRow
    workspace_id: UUID
    settled: dict[Protocol, SideResult]
    started_at: float
    progress: Progress = field(default_factory=Progress)

    def elapsed_ms(self) -> int:
        return int((time.monotonic() - self.started_at) * 1000)


async def check_row(worker: WorkerContext, errand: Errand, check: Check) -> None:
    """Check the open sides of a row and give what they came to to the recorder."""
    secrets = _open_secrets(errand, check.row)
    verdict = await _verify(worker, errand, check, secrets)
    worker.recorder.add(_conclude(worker, errand, check, verdict, secrets))


def end_check(worker: WorkerContext, check: Check, task: asyncio.Task[None]) -> None:
    """Let go of a check's slot, and hand its row back where it was cut short, or where a defect of ours ended it."""
    del worker.checks[task]
    worker.slots.release(1, check.workspace_id)
    key = check.row.pace_key
    check.progress.arrive(*Protocol)
    worker.rooms.end(check.row.request_id, check.workspace_id, key)
    if check.row.request_id in worker.news:
        worker.news[check.row.request_id].keys.add(key)
    for request_id in (check.row.request_id, *worker.rooms.next_at(key, worker.kit.pace.room_of(key))):
        if request_id in worker.news:
            worker.news[request_id].rang.set()
    error = None if task.cancelled() else task.exception()
    if error is not None:
        _LOG.error("check.failed", request_id=str(check.row.request_id), row=check.row.row, exc_info=error)
        check.progress = Progress(sent=set(Protocol))  # as if the worker had died: counted, and never without end
    if error is not None or task.cancelled():
        terms = _terms(worker, check.row, check.elapsed_ms())
        worker.recorder.add(hand_back(check.row, check.progress, check.settled, terms, check.elapsed_ms()))


def give_back(worker: WorkerContext, row: ClaimedRow) -> None:
    """Give back a row whose check has not begun: no login was made."""
    worker.recorder.add(hand_back(row, Progress(), {}, _terms(worker, row, 0), 0))


async def _verify(worker: WorkerContext, errand: Errand, check: Check, secrets: Secrets) -> RowVerdict:
    """Check the open sides; those whose logins are used up without a verdict are not tried again."""
    row, ended = check.row, check.progress.ended
    for of, side, is_open in (
        (Protocol.SMTP, row.smtp, row.smtp_open),
        (Protocol.IMAP, row.imap, row.imap_open),
    ):
        if is_open and is_interrupted(row, of):
            ended[of] = SideVerdict(interrupted_result(of, side), side, sent_credentials=False, is_answered=True)
    task = RowTask(
        email=row.email,
        provider=row.provider,
        pace_key=row.pace_key,
        smtp=row.smtp if row.smtp_open and Protocol.SMTP not in ended else None,
        imap=row.imap if row.imap_open and Protocol.IMAP not in ended else None,
        secrets=secrets,
        auto_correct=errand.request.auto_correct,
        tries=count_tries(row),
    )
    verdict = await verify_row(task, worker.kit, check.progress)
    return RowVerdict(verdict.smtp or ended.get(Protocol.SMTP), verdict.imap or ended.get(Protocol.IMAP), verdict.waits)


def _conclude(worker: WorkerContext, errand: Errand, check: Check, verdict: RowVerdict, secrets: Secrets) -> RowRecord:
    row = check.row
    elapsed_ms = check.elapsed_ms()
    record = decide(row, verdict, check.settled, _terms(worker, row, elapsed_ms), elapsed_ms)
    for side in record.sides:
        worker.metrics.count_check(side, row.provider)
    is_recheck = errand.request.kind == "reconnect"
    if not is_kept(record, Save(errand.request.save), is_recheck=is_recheck):
        return record
    results = check.settled | {side.protocol: side for side in record.sides}
    workspace_id = errand.request.workspace_id
    # An account that was only checked again keeps the credentials that it has.
    binding = account_binding(workspace_id, row.email)
    sealed = None if is_recheck else errand.account_sealer.seal(secrets, binding)
    account = make_account(workspace_id, row, verdict, results, sealed, secrets)
    return replace(record, account=replace(account, is_recheck=is_recheck))


def _terms(worker: WorkerContext, row: ClaimedRow, elapsed_ms: int) -> Terms:
    """Each row has its own budget, from its first claim: the last of 100,000 has as much of it as the first.

    Its time is PostgreSQL's, from the claim on: what this machine's clock says may be wrong by hours.
    """
    now = (row.claimed_at or datetime.now(UTC)) + timedelta(milliseconds=elapsed_ms)
    budget = timedelta(seconds=worker.settings.retry_budget_seconds)
    return Terms((row.first_claimed_at or now) + budget, now, random.random())  # noqa: S311 - spreads retries


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
