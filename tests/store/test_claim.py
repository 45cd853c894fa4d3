"""A claim: whose row it is, how often it was tried, which logins are counted before they happen."""

import asyncio
from collections import Counter
from datetime import UTC, datetime
from uuid import uuid4

from app.model import Encryption, Options, Protocol, Save, Side, Source
from app.seal import Sealer, row_binding
from tests.store.ledger import BUDGET, Space, ended, handed_back, make_row, make_rows, side_result, waiting


async def test_rows_are_claimed_in_input_order(space: Space) -> None:
    request_id = await space.add(make_rows(5))
    worker = uuid4()
    assert [row.row for row in await space.claim(request_id, worker, 2)] == [1, 2]
    assert [row.row for row in await space.claim(request_id, worker)] == [3, 4, 5]
    assert await space.claim(request_id, worker) == []


async def test_a_look_begins_where_it_is_told_and_says_what_it_found_first(space: Space) -> None:
    full, free = {"full.example": 0}, "free.example"
    keys = [free, free, "full.example", free, "full.example", free]
    request_id = await space.add([make_row(number, pace_key=key) for number, key in enumerate(keys, 1)])
    worker = uuid4()
    first, first_row = await space.look(request_id, worker, 2, rooms=full)
    assert ([row.row for row in first], first_row) == ([1, 2], 1)
    second, first_row = await space.look(request_id, worker, 1, rooms=full, from_row=2)
    assert ([row.row for row in second], first_row) == ([4], 3)  # 3 is passed over, not forgotten
    await space.end(worker, handed_back(first[0]))
    third, first_row = await space.look(request_id, worker, rooms=full, from_row=first_row)
    assert ([row.row for row in third], first_row) == ([6], 3)
    assert await space.look(request_id, worker, rooms=full, from_row=4) == ([], 4)
    assert [row.row for row in await space.claim(request_id, worker, rooms=full)] == [1]


async def test_no_more_rows_are_looked_at_than_is_said(space: Space) -> None:
    request_id = await space.add([make_row(number, pace_key=key) for number, key in enumerate("aaaaab", 1)])
    near, _ = await space.look(request_id, uuid4(), rooms={"a": 1}, scan=5)
    assert [row.row for row in near] == [1]
    far, _ = await space.look(request_id, uuid4(), rooms={"a": 1}, scan=6)
    assert [row.row for row in far] == [2, 6]


async def test_no_row_is_claimed_twice_by_many_at_once(space: Space) -> None:
    request_id = await space.add(make_rows(300))

    async def claim_all() -> list[int]:
        mine: list[int] = []
        while rows := await space.claim(request_id, uuid4(), 7):
            mine += [row.row for row in rows]
        return mine

    shares = await asyncio.gather(*(claim_all() for _ in range(8)))
    counted = Counter(row for share in shares for row in share)
    assert set(counted.values()) == {1}
    left = await space.db.fetchval(
        "SELECT count(*) FROM request_rows WHERE request_id = $1 AND attempt = 0", request_id
    )
    assert len(counted) + left == 300
    # Who finds all rows within reach locked comes away with none: what is left is there for the next.
    assert len(counted) + len(await space.claim(request_id, uuid4(), 300)) == 300


async def test_a_claim_waits_for_nobody(space: Space) -> None:
    request_id = await space.add(make_rows(4))
    async with space.db.acquire() as other, other.transaction():
        await other.execute("SELECT row FROM request_rows WHERE request_id = $1 AND row < 3 FOR UPDATE", request_id)
        claimed = await asyncio.wait_for(space.claim(request_id, uuid4(), 4), 5)
        assert [row.row for row in claimed] == [3, 4]


async def test_logins_are_counted_in_advance_on_open_sides_only(space: Space) -> None:
    one_sided = make_row(2, imap=Side(wanted=False))
    request_id = await space.add([make_row(1), one_sided])
    first, second = await space.claim(request_id, uuid4())
    assert (first.smtp_login_count, first.imap_login_count) == (1, 1)
    assert (first.smtp_unanswered_count, first.imap_unanswered_count) == (1, 1)
    assert (second.smtp_login_count, second.imap_login_count) == (1, 0)
    assert (second.smtp_open, second.imap_open) == (True, False)


async def test_each_claim_is_an_attempt(space: Space) -> None:
    request_id = await space.add([make_row(1)])
    worker = uuid4()
    for attempt in (1, 2, 3):
        (claimed,) = await space.claim(request_id, worker)
        assert claimed.attempt == attempt
        await space.end(worker, handed_back(claimed))


async def test_what_was_put_in_comes_out(space: Space) -> None:
    row = make_row(
        1,
        smtp=Side(True, "a@example.com", "user", "h", 25, Encryption.STARTTLS, {"host": Source.PRESET}),
        provider="gmail",
        details={"tags": ["a", "b"], "metadata": {"n": 2**70, "text": "ä"}},
    )
    request_id = await space.add([row])
    (claimed,) = await space.claim(request_id, uuid4())
    assert claimed.smtp == row.smtp
    assert claimed.imap == row.imap
    assert (claimed.provider, claimed.external_id, claimed.email) == ("gmail", "x1", row.email)
    request = await space.read(request_id)
    assert request.data_key is not None
    opener = Sealer(space.keyring.unwrap(request.data_key))
    assert opener.open(claimed.sealed, row_binding(request_id, 1)) == row.secrets


async def test_the_first_claim_starts_the_request_and_its_budget(space: Space) -> None:
    request_id = await space.add(make_rows(2))
    assert (await space.read(request_id)).state == "queued"
    await space.claim(request_id, uuid4(), 1)
    started = await space.read(request_id)
    assert started.state == "processing"
    assert started.started_at is not None
    assert started.retry_until == started.started_at + BUDGET
    await space.claim(request_id, uuid4(), 1)
    assert (await space.read(request_id)).started_at == started.started_at


async def test_a_busy_host_is_passed_over(space: Space) -> None:
    rows = [make_row(number, pace_key="busy" if number <= 3 else "free") for number in range(1, 6)]
    request_id = await space.add(rows)
    assert [row.row for row in await space.claim(request_id, uuid4(), rooms={"busy": 0})] == [4, 5]
    assert [row.row for row in await space.claim(request_id, uuid4(), rooms={"busy": 2})] == [1, 2]


async def test_a_cancelled_request_gives_no_rows(space: Space) -> None:
    request_id = await space.add(make_rows(2))
    await space.db.execute("UPDATE requests SET cancelled_at = now() WHERE id = $1", request_id)
    assert await space.claim(request_id, uuid4()) == []


async def test_rows_that_wait_or_ended_are_not_claimed(space: Space) -> None:
    request_id = await space.add(make_rows(3), Options(save=Save.NONE))
    worker = uuid4()
    first, second, _ = await space.claim(request_id, worker)
    await space.end(worker, waiting(first), ended(second))
    assert await space.claim(request_id, worker) == []


async def test_a_side_that_is_settled_is_not_opened_again(space: Space) -> None:
    request_id = await space.add([make_row(1)])
    worker = uuid4()
    (first,) = await space.claim(request_id, worker)
    settled = side_result(Protocol.SMTP, "invalid_credentials")
    record = waiting(first, -1, smtp_open=False, smtp_login_back=0, sides=(settled,))
    await space.end(worker, record)
    await space.db.execute("UPDATE request_rows SET state = 'queued', due_at = NULL WHERE request_id = $1", request_id)
    (again,) = await space.claim(request_id, worker)
    assert (again.smtp_open, again.imap_open) == (False, True)
    assert (again.smtp_login_count, again.imap_login_count) == (1, 1)
    assert record.due_at is not None
    assert record.due_at < datetime.now(UTC)
