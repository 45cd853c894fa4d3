"""I/O: what the rows of a request came to, in input order, and what failed, grouped."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from app.model import SideResult
from app.store.db import Database, bind
from app.store.sides import read_side

_LIST_ERROR_GROUPS: Final = bind("list_error_groups")
_LIST_ROW_RESULTS: Final = bind("list_row_results")

BLOCK_ROWS: Final = 2000


@dataclass(frozen=True, slots=True)
class RowResult:
    """One row of a request with what both sides ended in; `outcome` is empty while it is pending."""

    row: int
    email: str
    external_id: str
    provider: str
    state: str
    outcome: str
    account_id: UUID | None
    sources: dict[str, dict[str, str]]
    errors: tuple[dict[str, str], ...]
    corrections: tuple[dict[str, str], ...]
    extra: dict[str, str]
    duplicate_of: int
    attempts: int
    duration_ms: int
    checked_at: datetime | None
    smtp_wanted: bool
    smtp_host: str
    smtp_port: int
    smtp_encryption: str
    imap_wanted: bool
    imap_host: str
    imap_port: int
    imap_encryption: str
    smtp: SideResult | None
    imap: SideResult | None


@dataclass(frozen=True, slots=True)
class ErrorGroup:
    """Failed sides that share cause, host and the address's domain."""

    code: str
    protocol: str
    host: str
    port: int
    encryption: str
    provider: str
    domain: str
    count: int
    first_row: int
    reply: str


async def list_row_results(
    db: Database,
    request_id: UUID,
    *,
    after_row: int = 0,
    outcome: str = "",
    code: str = "",
    limit: int = 100,
    offset: int = 0,
) -> list[RowResult]:
    """Return rows after `after_row` in input order; `outcome` may also be `pending`. Empty filters let all through."""
    records = await _LIST_ROW_RESULTS.many(db, request_id, after_row, outcome, code, limit, offset)
    return [_read_row(record) for record in records]


async def iterate_row_results(db: Database, request_id: UUID, *, outcome: str = "") -> AsyncIterator[list[RowResult]]:
    """Yield blocks of rows in input order; no connection is held between blocks."""
    after_row = 0
    while True:
        block = await list_row_results(db, request_id, after_row=after_row, outcome=outcome, limit=BLOCK_ROWS)
        if block:
            yield block
        if len(block) < BLOCK_ROWS:
            return
        after_row = block[-1].row


async def list_error_groups(db: Database, request_id: UUID) -> list[ErrorGroup]:
    """Return what failed, grouped, the largest group first."""
    return [ErrorGroup(*record) for record in await _LIST_ERROR_GROUPS.many(db, request_id)]


def _read_row(record: Mapping[str, Any]) -> RowResult:
    return RowResult(
        row=record["row"],
        email=record["email"],
        external_id=record["external_id"],
        provider=record["provider"],
        state=record["state"],
        outcome=record["outcome"] or "",
        account_id=record["account_id"],
        sources=record["sources"],
        errors=tuple(record["errors"]),
        corrections=tuple(record["corrections"]),
        extra=record["extra"],
        duplicate_of=record["duplicate_of"] or 0,
        attempts=record["attempt"],
        duration_ms=record["duration_ms"],
        checked_at=record["checked_at"],
        smtp_wanted=record["smtp_wanted"],
        smtp_host=record["smtp_host"],
        smtp_port=record["smtp_port"],
        smtp_encryption=record["smtp_encryption"],
        imap_wanted=record["imap_wanted"],
        imap_host=record["imap_host"],
        imap_port=record["imap_port"],
        imap_encryption=record["imap_encryption"],
        smtp=read_side(record, "smtp", "s_"),
        imap=read_side(record, "imap", "i_"),
    )
