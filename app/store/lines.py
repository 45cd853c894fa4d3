"""I/O: the lines of a report, in input order: a tenth of what is known of a row, read ten times as fast."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from app.model import Correction
from app.store.db import Database, bind

_GET_LAST_ROW: Final = bind("get_last_row")
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


class ReportLine(NamedTuple):
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
    """Yield blocks of lines; PostgreSQL reads the next one meanwhile, and its connection waits for nobody.

    `with_extra`: the request has columns of its own.
    """
    (last_row,) = await _GET_LAST_ROW.one(db, request_id)
    if not last_row:
        return

    def read(after_row: int) -> asyncio.Task[Sequence[Sequence[Any]]]:
        stretch = after_row, after_row + BLOCK_LINES
        return asyncio.create_task(_LIST_REPORT_LINES.many(db, request_id, *stretch, outcome, with_extra))

    block = read(0)
    try:
        for after_row in range(BLOCK_LINES, last_row + BLOCK_LINES, BLOCK_LINES):
            records = await block
            if after_row < last_row:
                block = read(after_row)
            if records:
                yield [_read_line(tuple(record)) for record in records]
    finally:
        block.cancel()
        await asyncio.gather(block, return_exceptions=True)


def _read_line(values: tuple[Any, ...]) -> ReportLine:
    corrections, errors, extra = values[11:14]
    sides = _read_side(values[_SMTP]), _read_side(values[_IMAP])
    return ReportLine._make((*values[:11], corrections or (), errors or (), extra or {}, *values[14:18], *sides))


def _read_side(values: tuple[Any, ...]) -> SideLine | None:
    if values[0] is None:
        return None
    corrections = tuple(Correction(**entry) for entry in values[7]) if values[7] else ()
    return SideLine._make((*values[:7], corrections))
