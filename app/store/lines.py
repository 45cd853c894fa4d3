"""I/O: the lines of a report, in input order: a tenth of what is known of a row, read ten times as fast."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from app.model import Correction
from app.store.db import Database, bind

_LIST_REPORT_LINES: Final = bind("list_report_lines")

BLOCK_LINES: Final = 1000
_SMTP: Final = slice(18, 26)
_IMAP: Final = slice(26, 34)


class SideLine(NamedTuple):
    """What a report says of one side."""

    status: str
    code: str
    remedy: str
    reply: str
    host: str
    port: int
    encryption: str
    corrections: Sequence[Correction]


@dataclass(frozen=True, slots=True)
class ReportLine:
    """What a report says of one row; `outcome` is empty while it is pending."""

    row: int
    external_id: str
    email: str
    outcome: str
    account_id: UUID | None
    smtp_host: str
    smtp_port: int
    smtp_encryption: str
    imap_host: str
    imap_port: int
    imap_encryption: str
    corrections: Sequence[Mapping[str, str]]
    errors: Sequence[Mapping[str, str]]
    extra: Mapping[str, str]
    duplicate_of: int
    attempts: int
    duration_ms: int
    checked_at: datetime | None
    smtp: SideLine | None
    imap: SideLine | None


async def iterate_report_lines(
    db: Database, request_id: UUID, *, outcome: str = "", with_extra: bool = True
) -> AsyncIterator[list[ReportLine]]:
    """Yield blocks of lines; no connection is held between blocks. `with_extra`: the request has columns of its own."""
    after_row = 0
    while True:
        records = await _LIST_REPORT_LINES.many(db, request_id, after_row, outcome, with_extra, BLOCK_LINES)
        if records:
            yield [_read_line(tuple(record)) for record in records]
        if len(records) < BLOCK_LINES:
            return
        after_row = records[-1][0]


def _read_line(values: tuple[Any, ...]) -> ReportLine:
    *head, corrections, errors, extra = values[:14]
    sides = _read_side(values[_SMTP]), _read_side(values[_IMAP])
    cells: list[Any] = [*head, corrections or (), errors or (), extra or {}, *values[14:18], *sides]
    return ReportLine(*cells)


def _read_side(values: tuple[Any, ...]) -> SideLine | None:
    if values[0] is None:
        return None
    corrections = tuple(Correction(**entry) for entry in values[7]) if values[7] else ()
    return SideLine._make([*values[:7], corrections])
