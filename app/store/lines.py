"""I/O: the lines of a report, in input order: a tenth of what is known of a row, read ten times as fast."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from app.model import Correction
from app.store.db import Database, bind, transaction

_GET_LAST_ROW: Final = bind("get_last_row")
_LIST_REPORT_LINES: Final = bind("list_report_lines")
_LIST_REPORT_SIDES: Final = bind("list_report_sides")

READ_LINES: Final = 1000
BLOCK_LINES: Final = 200


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
    duplicate_of: int
    attempts: int
    duration_ms: int
    checked_at: datetime | None
    corrections: Sequence[Mapping[str, str]]
    errors: Sequence[Mapping[str, str]]
    extra: Mapping[str, str]
    smtp: SideLine | None
    imap: SideLine | None


async def iterate_report_lines(
    db: Database, request_id: UUID, *, outcome: str = "", with_extra: bool = True
) -> AsyncIterator[list[ReportLine]]:
    """Yield blocks of lines; PostgreSQL reads the next ones meanwhile, and its connection waits for nobody.

    `with_extra`: the request has columns of its own.
    """
    (last_row,) = await _GET_LAST_ROW.one(db, request_id)
    if not last_row:
        return

    async def read(after_row: int) -> list[ReportLine]:
        stretch = request_id, after_row, after_row + READ_LINES
        async with transaction(db, is_snapshot=True) as link:
            lines = await _LIST_REPORT_LINES.many(link, *stretch, outcome, with_extra)
            sides = await _LIST_REPORT_SIDES.many(link, *stretch)
        return _join(lines, sides)

    reading = asyncio.create_task(read(0))
    try:
        for after_row in range(READ_LINES, last_row + READ_LINES, READ_LINES):
            lines = await reading
            if after_row < last_row:
                reading = asyncio.create_task(read(after_row))
            for first in range(0, len(lines), BLOCK_LINES):
                # A turn of the loop: a read has several steps, and each is taken in one.
                await asyncio.sleep(0)
                yield lines[first : first + BLOCK_LINES]
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)


def _join(lines: Sequence[Sequence[Any]], sides: Sequence[Sequence[Any]]) -> list[ReportLine]:
    """Put rows and sides together; rows whose sides came to the same share one."""
    found: dict[str, dict[int, SideLine]] = {"smtp": {}, "imap": {}}
    for protocol, rows, *said, corrections in sides:
        mended = tuple(Correction(**entry) for entry in corrections) if corrections else ()
        side, sides_of = SideLine._make((*said, mended)), found[protocol]
        for row in rows:
            sides_of[row] = side
    smtp, imap = found["smtp"].get, found["imap"].get
    return [
        ReportLine._make((row, *words, corrections or (), errors or (), extra or {}, smtp(row), imap(row)))
        for row, *words, corrections, errors, extra in lines
    ]
