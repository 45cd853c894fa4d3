"""I/O: what the rows of a request came to, in input order, and what failed, grouped."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from app.checked import SideResult
from app.store.db import Database, bind
from app.store.sides import read_side

_LIST_ERROR_GROUPS: Final = bind("list_error_groups").planned_anew()
_LIST_ROW_RESULTS: Final = bind("list_row_results").planned_anew()


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
    """Failed sides that share cause and server. `domain`: of their addresses; empty where they are of several.

    `reply`: what the server said in `first_row`, the first row among them.
    """

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


async def list_error_groups(
    db: Database, request_id: UUID, *, by_domain: Sequence[str] = (), least_rows_of_domain: int = 1
) -> list[ErrorGroup]:
    """Return what failed, grouped, the largest group first.

    `by_domain`: codes that are grouped by domain too, where a domain has `least_rows_of_domain` of them.
    """
    records = await _LIST_ERROR_GROUPS.many(db, request_id, list(by_domain), least_rows_of_domain)
    return [ErrorGroup(*record) for record in records]


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
