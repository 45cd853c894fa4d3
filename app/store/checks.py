"""I/O: the ledger of checks: rows claimed, results recorded in blocks, requests closed; place 10 on the line."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from app.checked import SideResult
from app.model import Encryption, Outcome, Protocol, RowState, Side, Source
from app.store.accounts import KeptAccount, upsert_accounts
from app.store.db import Database, bind, transaction
from app.store.sides import read_side, write_side

_CLAIM_ROWS: Final = bind("claim_rows")
_LIST_OPEN_CHECKS: Final = bind("list_open_checks")
_RECORD_RESULTS: Final = bind("record_results")


@dataclass(slots=True)
class ClaimedRow:
    """A row that is this worker's to check. Not frozen, to be made fast.

    Counts include the login that this claim counted in advance.
    `put_off_count`: earlier claims that found no turn at the host, and so were no tries. Times are PostgreSQL's.
    """

    request_id: UUID
    row: int
    attempt: int
    email: str
    external_id: str
    provider: str
    pace_key: str
    smtp: Side
    imap: Side
    sealed: bytes | None
    smtp_is_token: bool
    imap_is_token: bool
    details: dict[str, object]
    smtp_open: bool
    imap_open: bool
    smtp_login_count: int
    imap_login_count: int
    smtp_unanswered_count: int
    imap_unanswered_count: int
    duration_ms: int
    put_off_count: int = 0
    first_claimed_at: datetime | None = None
    claimed_at: datetime | None = None


@dataclass(slots=True)
class RowRecord:
    """What one attempt at a row came to. Not frozen, to be made fast.

    `state` DONE has an `outcome`, WAITING a `due_at`, QUEUED neither (handed back). `*_open`: that side is still to be
    checked. `*_login_back` 1: the login counted in advance was not made. `*_answered` 1: no login of this attempt is
    without an answer. `is_put_off` 1: no side found a turn at its host, so this was no try. `sides`: results to keep,
    final or so far. `account`: what to keep of a row that ended.
    """

    request_id: UUID
    row: int
    attempt: int
    state: RowState
    outcome: Outcome | None
    due_at: datetime | None
    duration_ms: int
    smtp_open: bool
    imap_open: bool
    smtp_login_back: int
    imap_login_back: int
    smtp_answered: int
    imap_answered: int
    is_put_off: int = 0
    sides: tuple[SideResult, ...] = ()
    account: KeptAccount | None = None


async def claim_rows(
    db: Database,
    request_id: UUID,
    worker_id: UUID,
    limit: int,
    *,
    rooms: Mapping[str, int],
    default_room: int,
    retry_budget: timedelta,
    from_row: int,
    scan: int,
) -> tuple[list[ClaimedRow], int]:
    """Claim up to `limit` queued rows. `rooms`: how many more checks a pace key bears; others bear `default_room`.

    Looked at are the first `scan` rows from `from_row` on that are queued and whose hosts are not full; there may be
    more. Returns the rows, and the first from there on that was queued, claimed or not; `from_row` where none was
    claimed.
    """
    full = [key for key, room in rooms.items() if room <= 0]
    free = {key: room for key, room in rooms.items() if room > 0}
    records = await _CLAIM_ROWS.many(
        *(db, request_id, worker_id, limit, full, list(free), list(free.values()), default_room),
        *(scan, retry_budget, from_row),
    )
    rows = sorted((_read_claimed(request_id, record) for record in records), key=lambda claimed: claimed.row)
    return rows, records[0]["first_row"] if records else from_row


async def record_results(db: Database, worker_id: UUID, records: Sequence[RowRecord]) -> list[UUID]:
    """Record a block of attempts, and the accounts that came of them. Returns the requests that this closed.

    An attempt that is no longer this worker's changes nothing.
    """
    rows = [_row_columns(record) for record in records]
    sides = [
        {"request_id": record.request_id, "row": record.row, **write_side(side)}
        for record in records
        for side in record.sides
    ]
    async with transaction(db) as link:
        changed = await _RECORD_RESULTS.many(link, worker_id, rows, sides)
        taken = {(entry["request_id"], entry["row"]) for entry in changed}
        accounts = [record.account for record in records if record.account and (record.request_id, record.row) in taken]
        if accounts:
            await upsert_accounts(link, accounts)
    return list({entry["request_id"] for entry in changed if entry["closed"]})


async def list_settled_sides(
    db: Database, request_id: UUID, rows: Sequence[int]
) -> dict[tuple[int, Protocol], SideResult]:
    """Return what is recorded of the sides of these rows so far."""
    found: dict[tuple[int, Protocol], SideResult] = {}
    for record in await _LIST_OPEN_CHECKS.many(db, request_id, list(rows)):
        side = read_side(record, record["protocol"], "")
        if side is not None:
            found[record["row"], side.protocol] = side
    return found


def _row_columns(record: RowRecord) -> dict[str, object]:
    return {
        "request_id": record.request_id,
        "row": record.row,
        "attempt": record.attempt,
        "state": record.state,
        "outcome": record.outcome,
        "due_at": record.due_at,
        "duration_ms": record.duration_ms,
        "smtp_open": record.smtp_open,
        "imap_open": record.imap_open,
        "smtp_login_back": record.smtp_login_back,
        "imap_login_back": record.imap_login_back,
        "smtp_answered": record.smtp_answered,
        "imap_answered": record.imap_answered,
        "is_put_off": record.is_put_off,
    }


def _read_claimed(request_id: UUID, record: Mapping[str, Any]) -> ClaimedRow:
    values = {name: record[name] for name in ClaimedRow.__slots__ if name not in {"request_id", "smtp", "imap"}}
    return ClaimedRow(request_id=request_id, smtp=_side(record, "smtp"), imap=_side(record, "imap"), **values)


def _side(record: Mapping[str, Any], name: str) -> Side:
    encryption = record[f"{name}_encryption"]
    return Side(
        wanted=record[f"{name}_wanted"],
        address=record[f"{name}_address"],
        username=record[f"{name}_username"],
        host=record[f"{name}_host"],
        port=record[f"{name}_port"],
        encryption=Encryption(encryption) if encryption else None,
        sources={setting: Source(source) for setting, source in record["sources"].get(name, {}).items()},
    )
