"""One row: only what is open is tried, what is known is kept, and no defect goes round for ever."""

import asyncio
import contextlib
from datetime import datetime, timedelta, tzinfo
from typing import Any, Self

import pytest
from msgspec.structs import replace

from app.model import Encryption, Protocol, Side
from app.store.db import Unavailable
from app.task import Kit
from jobs import drain_request as draining
from jobs.drain_request import drain_request
from tests.fakes.counting import Counting
from tests.jobs.hands import Hands, Hire, box, boxes, codes_of, wait_until
from tests.store.ledger import Space


async def test_only_the_side_that_was_told_later_is_tried_again(space: Space, servers: Counting, hands: Hire) -> None:
    request_id = await space.add(
        [box(servers, 1, smtp="wrong", imap="later"), box(servers, 2, smtp="good", imap="later")]
    )
    one: Hands = await hands()
    await one.drain(request_id)
    assert {number: (await space.row(request_id, number))["state"] for number in (1, 2)} == dict.fromkeys(
        (1, 2), "waiting"
    )
    assert await codes_of(space, request_id) == ("", "invalid_credentials", "temporary_server_error")
    await space.db.execute("UPDATE request_rows SET state = 'queued', due_at = NULL")
    await one.drain(request_id)
    assert await codes_of(space, request_id, 1) == ("failed", "invalid_credentials", "ok")
    assert await codes_of(space, request_id, 2) == ("connected", "ok", "ok")
    assert servers.logins["smtp", "wrong-1@example.com"] == ["no"]
    assert servers.logins["imap", "later-1@example.com"] == ["later", "ok"]
    assert servers.logins["smtp", "good-2@example.com"] == ["ok"]
    row = await space.row(request_id)
    assert (row["smtp_login_count"], row["imap_login_count"]) == (1, 2)


async def test_a_check_cut_short_keeps_the_side_that_was_through(space: Space, servers: Counting, hands: Hire) -> None:
    request_id = await space.add([box(servers, 1, smtp="wrong", imap="held")])
    one: Hands = await hands()
    await drain_request(one.worker, request_id)
    refused, held = servers.logins["smtp", "wrong-1@example.com"], servers.asked
    await wait_until(lambda: bool(refused and held["held-1@example.com"]))
    (task,) = one.worker.checks
    await asyncio.sleep(0.2)  # for the answer to arrive
    task.cancel()
    await one.finish()
    row = await space.row(request_id)
    assert (row["state"], row["smtp_open"], row["imap_open"]) == ("queued", False, True)
    assert (row["smtp_unanswered_count"], row["imap_unanswered_count"]) == (0, 1)
    servers.let_go.set()
    await one.drain(request_id)
    assert await codes_of(space, request_id) == ("failed", "invalid_credentials", "ok")
    assert refused == ["no"]


@pytest.mark.parametrize("hours", [-3, 3])
async def test_a_worker_whose_clock_is_wrong_tries_again_at_the_right_time(
    space: Space, servers: Counting, hands: Hire, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    class Wrong(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Self:
            return super().now(tz) + timedelta(hours=hours)

    monkeypatch.setattr("jobs.check_row.datetime", Wrong)
    request_id = await space.add([box(servers, 1, "later")])
    one: Hands = await hands()
    await one.drain(request_id)
    row = await space.row(request_id)
    assert row["state"] == "waiting"
    wait: timedelta = row["due_at"] - row["claimed_at"]
    assert timedelta(seconds=3) < wait < timedelta(seconds=60)


async def test_a_row_with_no_side_left_open_ends_without_a_login(space: Space, servers: Counting, hands: Hire) -> None:
    """As after a stop in the very moment in which both sides were through."""
    request_id = await space.add([box(servers, 1, smtp="good", imap="later")])
    one: Hands = await hands()
    await one.drain(request_id)
    await space.db.execute("UPDATE request_rows SET state = 'queued', due_at = NULL, imap_open = false")
    await one.drain(request_id)
    assert (await codes_of(space, request_id))[0] == "failed"
    assert servers.asked["later-1@example.com"] == 1


async def test_rows_whose_settled_sides_cannot_be_read_go_back_unchecked(
    space: Space, servers: Counting, hands: Hire, monkeypatch: pytest.MonkeyPatch
) -> None:
    request_id = await space.add([box(servers, 1, smtp="wrong", imap="later"), box(servers, 2)])
    one: Hands = await hands()
    await one.drain(request_id)
    await space.db.execute("UPDATE request_rows SET state = 'queued', due_at = NULL WHERE state = 'waiting'")

    async def be_away(*_: Any) -> Any:
        raise Unavailable("away")

    with monkeypatch.context() as patch:
        patch.setattr(draining, "list_settled_sides", be_away)
        await one.drain(request_id)
    row = await space.row(request_id)
    assert (row["state"], row["imap_login_count"], row["imap_open"], row["smtp_open"]) == ("queued", 1, True, False)
    assert one.worker.slots.free == 20
    await one.drain(request_id)
    assert await codes_of(space, request_id) == ("failed", "invalid_credentials", "ok")
    assert servers.asked["wrong-1@example.com"] == 1


async def test_a_defect_in_a_check_gives_the_row_back_and_not_without_end(
    space: Space, servers: Counting, hands: Hire
) -> None:
    request_id = await space.add(boxes(servers, 1))
    one: Hands = await hands()
    kit = one.worker.kit
    one.worker.kit = Kit(None, kit.pace, 1.0)  # type: ignore[arg-type] # so that every check fails
    for _ in range(3):
        await one.drain(request_id)
    one.worker.kit = kit
    assert await codes_of(space, request_id) == ("failed", "interrupted", "interrupted")
    row = await space.row(request_id)
    assert row["attempt"] == 3
    assert one.worker.slots.free == 20


async def test_secrets_that_cannot_be_opened_are_our_own_fault(space: Space, servers: Counting, hands: Hire) -> None:
    one: Hands = await hands(retry_budget_seconds=0)
    broken, without = await space.add(boxes(servers, 1)), await space.add(boxes(servers, 1))
    await space.db.execute("UPDATE request_rows SET sealed = 'nonsense' WHERE request_id = $1", broken)
    await space.db.execute("UPDATE requests SET data_key = NULL WHERE id = $1", without)
    unwrapped = await space.add(boxes(servers, 1))
    await space.db.execute("UPDATE requests SET data_key = 'nonsense' WHERE id = $1", unwrapped)
    for request_id in (broken, without, unwrapped):
        await one.drain(request_id)
        assert await codes_of(space, request_id) == ("failed", "interrupted", "interrupted")
    assert not servers.asked


async def test_a_row_with_one_side_is_checked_on_that_side_only(space: Space, servers: Counting, hands: Hire) -> None:
    nothing = Side(False, "", "", "", 0, None)
    request_id = await space.add([replace(box(servers, 1), imap=nothing), replace(box(servers, 2), smtp=nothing)])
    one: Hands = await hands()
    await one.drain(request_id)
    assert await codes_of(space, request_id, 1) == ("connected", "ok", "")
    assert await codes_of(space, request_id, 2) == ("connected", "", "ok")
    assert servers.asked == {"good-1@example.com": 1, "good-2@example.com": 1}


@pytest.mark.parametrize("protocol", Protocol)
async def test_a_wrong_port_without_encryption_is_told_and_costs_no_login(
    space: Space, servers: Counting, hands: Hire, protocol: Protocol
) -> None:
    row = box(servers, 1)
    other = {Protocol.SMTP: servers.imap_port, Protocol.IMAP: servers.smtp_port}[protocol]
    side = replace(row.smtp if protocol is Protocol.SMTP else row.imap, port=other, encryption=Encryption.NONE)
    row = replace(row, smtp=side) if protocol is Protocol.SMTP else replace(row, imap=side)
    request_id = await space.add([row])
    one: Hands = await hands(retry_budget_seconds=0, greet_timeout_seconds=1.0)
    with contextlib.suppress(TimeoutError):
        await one.drain(request_id)
    assert (await codes_of(space, request_id))[0] == "failed"
    assert servers.asked["good-1@example.com"] == 1
