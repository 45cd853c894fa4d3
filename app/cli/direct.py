"""I/O: the checks of a file here and now, with no service: the same rows, the same checks, the same report."""

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from app.checked import SideResult
from app.codes import Code
from app.diagnose.retry import next_attempt_at
from app.intake.body import list_columns, mark_duplicates, read_records
from app.login.check import close_tools, open_tools
from app.model import Correction, Outcome, Protocol, Row, Side, SideStatus
from app.pace import Pace
from app.report.rows import render_header, render_rows
from app.settings import Settings
from app.task import Kit, RowTask
from app.verdict import SideVerdict
from app.verify import verify_row

Json = dict[str, Any]


@dataclass(slots=True)
class DirectRow:
    """One row with what became of it; has the shape that reports are written from."""

    given: Row
    outcome: str = ""
    smtp: SideResult | None = None
    imap: SideResult | None = None
    attempts: int = 0
    duration_ms: int = 0
    checked_at: datetime | None = None
    account_id: UUID | None = None

    @property
    def row(self) -> int:
        return self.given.row

    @property
    def email(self) -> str:
        return self.given.email

    @property
    def external_id(self) -> str:
        return self.given.external_id

    @property
    def provider(self) -> str:
        return self.given.provider

    @property
    def sources(self) -> Mapping[str, Mapping[str, str]]:
        return {"smtp": _words(self.given.smtp), "imap": _words(self.given.imap)}

    @property
    def errors(self) -> Sequence[Mapping[str, str]]:
        return [{"field": error.field, "code": error.code, "message": error.message} for error in self.given.errors]

    @property
    def corrections(self) -> Sequence[Mapping[str, str]]:
        return [_correction(entry) for entry in self.given.corrections]

    @property
    def extra(self) -> Mapping[str, str]:
        return self.given.extra

    @property
    def duplicate_of(self) -> int:
        return self.given.duplicate_of

    @property
    def smtp_wanted(self) -> bool:
        return self.given.smtp.wanted

    @property
    def smtp_host(self) -> str:
        return self.given.smtp.host

    @property
    def smtp_port(self) -> int:
        return self.given.smtp.port

    @property
    def smtp_encryption(self) -> str:
        return self.given.smtp.encryption or ""

    @property
    def imap_wanted(self) -> bool:
        return self.given.imap.wanted

    @property
    def imap_host(self) -> str:
        return self.given.imap.host

    @property
    def imap_port(self) -> int:
        return self.given.imap.port

    @property
    def imap_encryption(self) -> str:
        return self.given.imap.encryption or ""


def open_rows(records: Sequence[Json]) -> list[DirectRow]:
    """Read records into rows; invalid rows and duplicates have their outcome already."""
    rows = mark_duplicates(row for part in read_records(records) for row in part)
    return [DirectRow(row, outcome=_first_outcome(row)) for row in rows]


def render_report(rows: Sequence[DirectRow]) -> str:
    """Write the CSV report."""
    columns = list_columns(row.given for row in rows)
    return render_header(columns) + render_rows(rows, columns)


def count(rows: Sequence[DirectRow]) -> dict[str, int]:
    """Count rows by where they are, as a request's status does."""
    counts = {"total": len(rows), "pending": sum(not row.outcome for row in rows)}
    return counts | {outcome.value: sum(row.outcome == outcome for row in rows) for outcome in Outcome}


async def check_rows(
    rows: Sequence[DirectRow],
    settings: Settings,
    *,
    concurrency: int,
    retry_seconds: float,
    auto_correct: bool = True,
    on_change: Callable[[], None],
) -> None:
    """Check every row that has no outcome yet, `concurrency` at a time; `on_change` is called as rows end.

    What may pass by itself is tried again within `retry_seconds`; a row that waits holds no slot.
    """
    tools = open_tools(settings)
    pace = Pace(settings.provider_limits, patience_seconds=retry_seconds, slots=concurrency)
    kit = Kit(tools, pace, settings.check_timeout_seconds)
    slots = asyncio.Semaphore(concurrency)
    budget = timedelta(seconds=retry_seconds)

    async def check(row: DirectRow) -> None:
        await _check_row(row, kit, slots, budget, auto_correct=auto_correct)
        on_change()

    try:
        async with asyncio.TaskGroup() as group:
            for row in rows:
                if not row.outcome:
                    group.create_task(check(row))
    finally:
        await close_tools(tools)


@dataclass(slots=True)
class _Try:
    """One side while its row is checked. `side` None: it is settled, or was never wanted."""

    side: Side | None
    logins: int = 0
    unanswered: int = 0


async def _check_row(
    row: DirectRow, kit: Kit, slots: asyncio.Semaphore, budget: timedelta, *, auto_correct: bool
) -> None:
    """Check a row to its end. Its budget begins with its first try."""
    loop = asyncio.get_running_loop()
    given = row.given
    open_sides = {
        Protocol.SMTP: _Try(given.smtp if given.smtp.wanted else None),
        Protocol.IMAP: _Try(given.imap if given.imap.wanted else None),
    }
    retry_until: datetime | None = None
    while True:
        await _wait_for_room(row.given.pace_key, kit.pace)
        async with slots:
            began_at = loop.time()
            retry_until = retry_until if row.attempts and retry_until else datetime.now(UTC) + budget
            smtp, imap = open_sides[Protocol.SMTP].side, open_sides[Protocol.IMAP].side
            task = RowTask(
                given.email, given.provider, given.pace_key, smtp, imap, given.secrets, auto_correct, row.attempts + 1
            )
            verdict = await verify_row(task, kit)
            row.duration_ms += round((loop.time() - began_at) * 1000)
        row.attempts += bool(verdict.smtp or verdict.imap)
        row.checked_at = datetime.now(UTC)
        due = [row.checked_at + timedelta(seconds=seconds) for seconds in verdict.waits.values()]
        for side in (verdict.smtp, verdict.imap):
            if side is not None:
                due += _take(row, open_sides[side.result.protocol], side, retry_until)
        if not due:
            break
        await asyncio.sleep(max(0.0, (max(due) - datetime.now(UTC)).total_seconds()))
    sides = [side for side in (row.smtp, row.imap) if side is not None]
    is_ok = bool(sides) and all(side.status is SideStatus.OK for side in sides)
    row.outcome = Outcome.CONNECTED if is_ok else Outcome.FAILED


async def _wait_for_room(pace_key: str, pace: Pace) -> None:
    """Hold no slot while the host has no room."""
    while pace.room_of(pace_key) <= 0:  # noqa: ASYNC110 - room also comes with time alone
        await asyncio.sleep(0.1 + random.random() / 5)  # noqa: S311 - spreads those who wait


def _take(row: DirectRow, tried: _Try, verdict: SideVerdict, retry_until: datetime) -> list[datetime]:
    """Note how a side ended. Returns when it is due again, or nothing."""
    tried.logins += verdict.sent_credentials
    tried.unanswered += not verdict.is_answered
    result = verdict.result
    if result.protocol is Protocol.SMTP:
        row.smtp = result
    else:
        row.imap = result
    due_at = (
        None
        if verdict.is_final
        else next_attempt_at(
            Code(result.code),
            attempt=row.attempts,
            login_count=tried.logins,
            unanswered_count=tried.unanswered,
            sent_credentials=verdict.sent_credentials,
            now=datetime.now(UTC),
            retry_until=retry_until,
            jitter=random.random(),  # noqa: S311 - spreads retries, hides nothing
            is_host_known=verdict.is_host_known,
        )
    )
    if due_at is None:
        tried.side = None
    elif verdict.sent_credentials:
        tried.side = verdict.side  # the server that was there to answer
    return [due_at] if due_at is not None else []


def _first_outcome(row: Row) -> str:
    if row.errors:
        return Outcome.INVALID
    return Outcome.DUPLICATE if row.duplicate_of else ""


def _words(side: Side) -> dict[str, str]:
    return {name: source.value for name, source in side.sources.items()}


def _correction(entry: Correction) -> dict[str, str]:
    return {"field": entry.field, "given": entry.given, "used": entry.used, "reason": entry.reason}
