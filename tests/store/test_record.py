"""A record: it belongs to one attempt, it keeps the books, it closes the request once."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from app.model import Correction, Encryption, Options, Protocol, RowState, Save, SideStatus, Stage
from app.store.checks import list_settled_sides
from app.store.db import StoreError
from app.store.rows import list_row_results
from tests.store.ledger import Space, ended, handed_back, make_account, make_row, make_rows, side_result, waiting


async def test_what_a_check_found_is_kept(space: Space) -> None:
    request_id = await space.add([make_row(1)])
    worker = uuid4()
    (claimed,) = await space.claim(request_id, worker)
    smtp = side_result(
        Protocol.SMTP,
        "invalid_credentials",
        rule="smtp-535",
        warning="all_mail_hidden",
        is_retryable=True,
        stage=Stage.AUTH,
        remedy="Mend it.",
        address="192.0.2.1",
        tls_version="TLSv1.3",
        certificate_names=("a.example.com", "b.example.com"),
        certificate_expires_at=datetime(2027, 1, 1, tzinfo=UTC),
        mechanism="PLAIN",
        timings={"auth": 12},
        attempts=1,
        logins=1,
        corrections=(Correction("smtpPort", "587", "465", "It works."),),
    )
    imap = side_result(Protocol.IMAP, status=SideStatus.SKIPPED, encryption=None)
    await space.end(worker, ended(claimed, "invalid_credentials", sides=(smtp, imap)))
    (row,) = await list_row_results(space.db, request_id)
    assert (row.smtp, row.imap) == (smtp, imap)
    assert (row.state, row.outcome, row.attempts, row.duration_ms) == ("done", "failed", 1, 120)


async def test_a_late_writer_changes_nothing(space: Space) -> None:
    request_id = await space.add([make_row(1)])
    slow, quick = uuid4(), uuid4()
    (old,) = await space.claim(request_id, slow)
    await space.db.execute(
        "UPDATE request_rows SET state = 'queued', worker_id = NULL WHERE request_id = $1", request_id
    )
    (new,) = await space.claim(request_id, quick)
    before = await space.row(request_id), await space.read(request_id)
    late = replace(ended(old), account=make_account(space, old))
    assert await space.end(slow, late) == []
    assert (await space.row(request_id), await space.read(request_id)) == before
    assert await list_settled_sides(space.db, request_id, [1]) == {}
    assert await space.db.fetchval("SELECT count(*) FROM accounts WHERE workspace_id = $1", space.id) == 0
    assert await space.end(quick, ended(new)) == [request_id]


async def test_an_older_attempt_of_the_same_worker_changes_nothing(space: Space) -> None:
    request_id = await space.add([make_row(1)])
    worker = uuid4()
    (old,) = await space.claim(request_id, worker)
    await space.end(worker, handed_back(old))
    (new,) = await space.claim(request_id, worker)
    before = await space.row(request_id)
    await space.end(worker, ended(old))
    assert await space.row(request_id) == before
    assert new.attempt == 2


async def test_a_row_is_recorded_by_its_worker_alone(space: Space) -> None:
    request_id = await space.add([make_row(1)])
    worker = uuid4()
    (claimed,) = await space.claim(request_id, worker)
    assert await space.end(uuid4(), ended(claimed)) == []
    assert await space.end(worker, ended(claimed)) == [request_id]


async def test_the_same_record_twice_counts_once(space: Space) -> None:
    request_id = await space.add(make_rows(2))
    worker = uuid4()
    first, _ = await space.claim(request_id, worker)
    await space.end(worker, ended(first))
    await space.end(worker, ended(first))
    counts = (await space.read(request_id)).counts
    assert (counts.connected, counts.pending) == (1, 1)


async def test_the_last_row_closes_the_request_once(space: Space) -> None:
    request_id = await space.add(make_rows(40))
    workers = [uuid4() for _ in range(8)]
    claimed = [(worker, await space.claim(request_id, worker, 5)) for worker in workers]
    ends = await asyncio.gather(*(space.end(worker, ended(row)) for worker, rows in claimed for row in rows))
    assert [request for closed in ends for request in closed] == [request_id]
    request = await space.read(request_id)
    assert (request.state, request.counts.connected) == ("reporting", 40)
    assert request.closed_at is not None


async def test_the_books_balance_at_every_moment(space: Space) -> None:
    """Claims, records, deaths and a cancel at once, read by somebody who looks all the time."""
    requests = [await space.add(make_rows(120)) for _ in range(3)]
    is_over = asyncio.Event()
    seen = []

    async def watch() -> None:
        while not is_over.is_set():
            seen.extend([(await space.read(request_id)).counts for request_id in requests])

    async def work() -> None:
        worker = uuid4()
        for turn in range(60):
            rows = [row for request_id in requests for row in await space.claim(request_id, worker, 4)]
            if not rows:
                return
            codes = ("ok", "invalid_credentials")
            records = [handed_back(row) if turn % 5 == 4 else ended(row, codes[row.row % 2]) for row in rows]
            await space.end(worker, *reversed(records) if turn % 2 else records)

    watcher = asyncio.create_task(watch())
    await asyncio.gather(*(work() for _ in range(5)))
    is_over.set()
    await watcher
    assert len(seen) > 10
    assert all(counts.is_balanced() for counts in seen)
    for request_id in requests:
        counts = (await space.read(request_id)).counts
        rows = dict(
            await space.db.fetch(
                "SELECT coalesce(outcome, 'pending'), count(*) FROM request_rows WHERE request_id = $1 GROUP BY 1",
                request_id,
            )
        )
        assert rows == {name: n for name in ("pending", "connected", "failed") if (n := getattr(counts, name))}


async def test_a_login_that_was_not_made_is_given_back(space: Space) -> None:
    request_id = await space.add([make_row(1)])
    worker = uuid4()
    (claimed,) = await space.claim(request_id, worker)
    await space.end(worker, waiting(claimed, smtp_login_back=1, imap_login_back=0))
    row = await space.row(request_id)
    assert (row["smtp_login_count"], row["imap_login_count"]) == (0, 1)
    assert (row["smtp_unanswered_count"], row["imap_unanswered_count"]) == (0, 0)
    assert (row["state"], row["worker_id"]) == ("waiting", None)


async def test_an_unanswered_login_stays_counted(space: Space) -> None:
    request_id = await space.add([make_row(1)])
    worker = uuid4()
    (claimed,) = await space.claim(request_id, worker)
    await space.end(worker, waiting(claimed, smtp_login_back=0, smtp_answered=0))
    row = await space.row(request_id)
    assert (row["smtp_login_count"], row["smtp_unanswered_count"]) == (1, 1)
    assert (row["imap_login_count"], row["imap_unanswered_count"]) == (0, 0)


async def test_a_settled_side_is_found_by_the_next_attempt(space: Space) -> None:
    request_id = await space.add([make_row(1)])
    worker = uuid4()
    (claimed,) = await space.claim(request_id, worker)
    settled = side_result(Protocol.SMTP, encryption=Encryption.STARTTLS)
    await space.end(worker, waiting(claimed, smtp_open=False, sides=(settled,)))
    assert await list_settled_sides(space.db, request_id, [1]) == {(1, Protocol.SMTP): settled}


async def test_the_next_attempt_overwrites_what_the_first_found(space: Space) -> None:
    request_id = await space.add([make_row(1)])
    worker = uuid4()
    (first,) = await space.claim(request_id, worker)
    await space.end(worker, replace(handed_back(first), sides=(side_result(Protocol.SMTP, "rate_limited"),)))
    (second,) = await space.claim(request_id, worker)
    await space.end(worker, ended(second))
    (row,) = await list_row_results(space.db, request_id)
    assert row.smtp is not None
    assert (row.smtp.code, row.attempts, row.duration_ms) == ("ok", 2, 240)


@pytest.mark.parametrize(("code", "is_left"), [("ok", False), ("invalid_credentials", True)])
async def test_credentials_of_a_row_go_when_it_is_connected(space: Space, code: str, is_left: bool) -> None:
    request_id = await space.add(make_rows(2))
    worker = uuid4()
    first, _ = await space.claim(request_id, worker)
    await space.end(worker, ended(first, code))
    assert ((await space.row(request_id))["sealed"] is not None) == is_left


@pytest.mark.parametrize(("save", "is_left"), [(Save.NONE, False), (Save.CONNECTED, True), (Save.ALL, True)])
async def test_the_data_key_of_a_check_without_keeping_ends_with_it(space: Space, save: Save, is_left: bool) -> None:
    request_id = await space.add(make_rows(2), Options(save=save))
    worker = uuid4()
    first, second = await space.claim(request_id, worker)
    await space.end(worker, ended(first, "invalid_credentials"))
    assert (await space.read(request_id)).data_key is not None
    await space.end(worker, ended(second, "invalid_credentials"))
    assert ((await space.read(request_id)).data_key is not None) == is_left


async def test_one_record_that_cannot_be_stored_takes_its_block_with_it(space: Space) -> None:
    """All or nothing: the recorder then writes one by one."""
    request_id = await space.add(make_rows(2))
    worker = uuid4()
    first, second = await space.claim(request_id, worker)
    poison = ended(second, sides=(side_result(Protocol.SMTP, reply="a\0b"),))
    with pytest.raises(StoreError):
        await space.end(worker, ended(first), poison)
    assert (await space.read(request_id)).counts.pending == 2
    assert await space.end(worker, ended(first)) == []
    assert (await space.row(request_id))["state"] == RowState.DONE


async def test_blocks_may_hold_rows_of_many_requests(space: Space) -> None:
    worker = uuid4()
    requests = [await space.add([make_row(1)]) for _ in range(3)]
    records = [ended(row) for request_id in requests for row in await space.claim(request_id, worker)]
    assert sorted(await space.end(worker, *records)) == sorted(requests)
