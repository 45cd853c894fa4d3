"""A report's lines say what the rows' results say: rows share what they came to, and each has its own."""

import asyncio
from collections.abc import AsyncGenerator
from typing import cast
from uuid import UUID, uuid4

import pytest

from app.model import Correction, Protocol, RowError
from app.report.rows import render_rows
from app.store import lines
from app.store.checks import record_results
from app.store.lines import ReportLine, iterate_report_lines
from app.store.rows import list_row_results
from tests.real.line import until
from tests.store.ledger import Space, ended, make_row, make_rows, side_result, waiting

MODE = Correction("smtpEncryption", "starttls", "ssl", "Port 465 is for ssl.")
NO_HOST = RowError(6, "smtpHost", "missing", "No host.")


async def add_rows_of_all_kinds(space: Space) -> UUID:
    """Store rows: 1 and 2 connected, 3 failed, 4 failed with a reply of its own, 5 waits, 6 was never tried."""
    request_id, worker = await space.add([*make_rows(5), make_row(6, errors=(NO_HOST,)), make_row(7)]), uuid4()
    one, two, three, four, five = await space.claim(request_id, worker, 5)
    mended = (side_result(Protocol.SMTP, corrections=(MODE,)), side_result(Protocol.IMAP))
    own = (side_result(Protocol.SMTP, "invalid_credentials", reply="535 Number 4"), side_result(Protocol.IMAP))
    await space.end(
        worker,
        ended(one),
        ended(two, sides=mended),
        ended(three, "invalid_credentials"),
        ended(four, "invalid_credentials", sides=own),
        waiting(five, sides=(side_result(Protocol.IMAP),), imap_open=False),
    )
    return request_id


async def read(space: Space, request_id: UUID, outcome: str = "") -> list[ReportLine]:
    return [line async for block in iterate_report_lines(space.db, request_id, outcome=outcome) for line in block]


async def test_lines_say_what_the_results_say(space: Space) -> None:
    request_id = await add_rows_of_all_kinds(space)
    told, results = await read(space, request_id), await list_row_results(space.db, request_id)
    assert [line.row for line in told] == list(range(1, 8))
    assert render_rows(told, ("Team",)) == render_rows(results, ("Team",))
    assert told[0].imap is told[1].imap
    assert told[4].smtp is None


async def test_a_row_that_ends_while_its_line_is_read_is_told_as_it_was_or_as_it_is(space: Space) -> None:
    request_id, worker = await space.add(make_rows(1)), uuid4()
    (row,) = await space.claim(request_id, worker)

    async def is_held() -> bool:
        waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'checks'::regclass"
        return bool(await space.db.fetchval(waiting))

    async with space.db.acquire() as link:
        async with link.transaction():
            await link.execute("LOCK TABLE checks")
            reading = asyncio.create_task(read(space, request_id))  # it has the row, and waits for its sides
            await until(is_held)
            await record_results(link, worker, [ended(row)])
        (line,) = await reading
    assert (line.outcome, line.smtp, line.imap) == ("", None, None)
    (line,) = await read(space, request_id)
    assert line.outcome == "connected"
    assert line.smtp is not None


async def test_lines_of_one_outcome_have_their_own_sides(space: Space) -> None:
    request_id = await add_rows_of_all_kinds(space)
    for outcome in ("connected", "failed", "pending", "invalid"):
        results = await list_row_results(space.db, request_id, outcome=outcome)
        assert results
        assert render_rows(await read(space, request_id, outcome)) == render_rows(results)


async def test_what_comes_next_is_read_while_lines_are_told(space: Space, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "READ_LINES", 2)
    request_id = await add_rows_of_all_kinds(space)
    others = asyncio.all_tasks()
    blocks = iterate_report_lines(space.db, request_id)
    told = [await anext(blocks)]

    async def is_read() -> bool:
        return asyncio.all_tasks() <= others

    await until(is_read)
    async with space.db.acquire() as link, link.transaction():
        await link.execute("LOCK TABLE checks")
        told.append(await anext(blocks))
    told += [block async for block in blocks]
    assert [[line.row for line in block] for block in told] == [[1, 2], [3, 4], [5, 6], [7]]


async def test_the_loop_has_its_turn_between_lines_that_are_read_already(
    space: Space, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the next read would not even begin before all of these are told."""
    monkeypatch.setattr(lines, "BLOCK_LINES", 1)
    blocks = iterate_report_lines(space.db, await add_rows_of_all_kinds(space))
    await anext(blocks)
    turned = asyncio.Event()
    asyncio.get_running_loop().call_soon(turned.set)
    await anext(blocks)
    assert turned.is_set()
    await cast(AsyncGenerator[object, None], blocks).aclose()


async def test_who_stops_listening_leaves_no_read_behind(space: Space, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "READ_LINES", 1)
    request_id = await add_rows_of_all_kinds(space)
    others = asyncio.all_tasks()
    blocks = iterate_report_lines(space.db, request_id)
    await anext(blocks)
    assert asyncio.all_tasks() > others
    await cast(AsyncGenerator[object, None], blocks).aclose()
    assert asyncio.all_tasks() <= others
