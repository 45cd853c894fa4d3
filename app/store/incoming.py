"""I/O: a request and its rows, stored in one transaction; place 5 on the line.

The rows come in slices, and PostgreSQL stores some while the next are read and sealed: neither waits for the other, and
nobody holds them all at once.
"""

import asyncio
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final, Self
from uuid import UUID

from msgspec.structs import replace

from app.model import REJECTIONS_SHOWN, Counts, OnExisting, Options, Outcome, Row, RowError
from app.seal import Sealer
from app.store.db import Database, bind, transaction
from app.store.packing import COLUMNS, Packer, outcome_of, pack_rows

_INSERT_REQUEST: Final = bind("insert_request")
_LIST_KNOWN_EMAILS: Final = bind("list_known_emails")
_SETTLE_REQUEST: Final = bind("settle_request")

BLOCK_ROWS: Final = 500
JUDGED_ROWS: Final = 500
"""For so many rows at a time it is asked which addresses are accounts already."""


@dataclass(slots=True)
class Tally:
    """What became of a request's rows. `errors` and `rejections`: as many as are shown, or a few more.

    `rejections` tells of every row that will not be checked, `errors` of those that are wrong in themselves.
    """

    outcomes: Counter[Outcome | None] = field(default_factory=Counter)
    errors: list[RowError] = field(default_factory=list)
    rejections: list[RowError] = field(default_factory=list)

    def add(self, rows: Iterable[Row]) -> None:
        """Count rows in."""
        for row in rows:
            outcome = outcome_of(row)
            self.outcomes[outcome] += 1
            if outcome is Outcome.INVALID and len(self.errors) < REJECTIONS_SHOWN:
                self.errors += row.errors
            if outcome is not None and len(self.rejections) < REJECTIONS_SHOWN:
                self.rejections += _reject(row)

    def counts(self) -> Counts:
        """Return the counts of the request, as it begins."""
        count = self.outcomes
        return Counts(
            total=count.total(),
            pending=count[None],
            invalid=count[Outcome.INVALID],
            duplicate=count[Outcome.DUPLICATE],
            skipped=count[Outcome.SKIPPED],
        )


async def insert_request(
    db: Database,
    request_id: UUID,
    workspace_id: UUID,
    options: Options,
    slices: Iterable[Sequence[Row]],
    columns: Collection[str],
    *,
    count: int,
    data_key: bytes,
    wrapped_key: bytes,
    retention: timedelta,
    kind: str = "connect",
    parent_id: UUID | None = None,
) -> Tally:
    """Store a request and its rows, all or nothing. Returns what became of them.

    Rows with errors are invalid, rows with `duplicate_of` duplicates, rows whose address the workspace has already
    skipped where the options say so; none of these keeps secrets. Whether strict options refuse them is for the caller,
    who takes back the transaction then. The loop has its turn after each slice.

    `count`: how many rows there are in all. `columns` need be complete only when the last slice has come.
    """
    tally = Tally()
    async with transaction(db) as link:
        await _INSERT_REQUEST.run(
            link,
            *(request_id, workspace_id, kind, parent_id, options.name, options.save.value, options.on_existing.value),
            *(options.auto_correct, options.callback_url, wrapped_key, count, retention),
        )
        is_judged = options.on_existing is not OnExisting.UPDATE
        async with _RowCopy(link, Packer(request_id, Sealer(data_key))) as copy:
            for part in _join_slices(slices, JUDGED_ROWS) if is_judged else slices:
                rows = part
                if is_judged:
                    await copy.wait()  # only then can the connection be asked something else
                    rows = await _judge_existing(link, workspace_id, options.on_existing, part)
                tally.add(rows)
                await copy.add(rows)
                await asyncio.sleep(0)
        counts = tally.counts()
        settled = (counts.pending, counts.invalid, counts.duplicate, counts.skipped)
        await _SETTLE_REQUEST.run(link, request_id, list(columns), *settled)
    return tally


class _RowCopy:
    """Rows on their way into PostgreSQL, in blocks: one is stored while the next is gathered.

    At its end, the last of them are stored; where something went wrong, what is under way is left off.
    """

    def __init__(self, link: Any, packer: Packer) -> None:
        self._link = link
        self._packer = packer
        self._packed: list[bytes] = []
        self._under_way: asyncio.Task[object] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                await self._begin()
                await self.wait()
        finally:
            if self._under_way is not None:
                self._under_way.cancel()
                await asyncio.gather(self._under_way, return_exceptions=True)

    async def add(self, rows: Iterable[Row]) -> None:
        self._packed += map(self._packer.pack, rows)
        if len(self._packed) >= BLOCK_ROWS:
            await self._begin()

    async def wait(self) -> None:
        """Return when the connection is free."""
        if self._under_way is not None:
            await self._under_way
            self._under_way = None

    async def _begin(self) -> None:
        if not self._packed:
            return
        block, self._packed = pack_rows(self._packed), []
        await self.wait()
        source = memoryview(block)  # bytes would be taken for a file's name
        copying = self._link.copy_to_table("request_rows", source=source, columns=COLUMNS, format="binary")
        self._under_way = asyncio.create_task(copying)


async def _judge_existing(link: Any, workspace_id: UUID, on_existing: OnExisting, rows: Sequence[Row]) -> Sequence[Row]:
    """Mark rows whose address the workspace has already, where that matters."""
    emails = [row.email for row in rows if not row.errors]
    known = {record["email"]: record["id"] for record in await _LIST_KNOWN_EMAILS.many(link, workspace_id, emails)}
    words = "This address is an account already, and the request said onExisting=fail."
    judged = []
    for row in rows:
        one = row
        if row.email in known and not row.errors and not row.duplicate_of:
            is_refused = on_existing is OnExisting.FAIL
            errors = (RowError(row.row, "smtpEmailAddress", "exists", words),) if is_refused else ()
            one = replace(row, errors=errors, account_id=known[row.email])
        judged.append(one)
    return judged


def _join_slices(slices: Iterable[Sequence[Row]], least: int) -> Iterator[list[Row]]:
    """Yield slices of at least so many rows, but for the last."""
    joined: list[Row] = []
    for part in slices:
        joined += part
        if len(joined) >= least:
            yield joined
            joined = []
    if joined:
        yield joined


def _reject(row: Row) -> Sequence[RowError]:
    """Return why a row will not be checked."""
    if row.duplicate_of and not row.errors:
        words = f"Row {row.duplicate_of} has the same mailbox; that one is checked."
        return [RowError(row.row, "smtpEmailAddress", "duplicate", words)]
    return row.errors
