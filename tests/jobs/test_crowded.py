"""A host is sent no more rows than it has room for, and one that waits there, however long they are on their way."""

import asyncio
import time
from typing import Any

import pytest
from msgspec.structs import replace

from app.gate import START_LIMIT
from app.model import Counts, Encryption, Row, Side
from app.store.checks import ClaimedRow, claim_rows
from jobs import drain_request as draining
from jobs.drain_request import drain_request
from jobs.looks import REST_SECONDS
from jobs.rooms import SPARE
from tests.fakes.counting import Counting, count_logins
from tests.fakes.names import SILENT, serve_names
from tests.jobs.hands import Hands, Hire, box, boxes, wait_until
from tests.store.ledger import Space, make_row

PLACES = 5
SLOW = "slow.example"


def box_at(servers: Counting, number: int, kind: str, host: str) -> Row:
    row = box(servers, number, kind)
    return replace(row, pace_key=host, smtp=replace(row.smtp, host=host), imap=replace(row.imap, host=host))


async def stop(one: Hands, drained: asyncio.Task[None]) -> None:
    one.worker.stopping.set()
    for task in list(one.worker.checks):
        task.cancel()
    await drained
    await one.finish()


async def most_checks(one: Hands) -> int:
    """Return how many checks there were at once, while several claims are made."""
    most = 0
    for _ in range(50):
        most = max(most, len(one.worker.checks))
        await asyncio.sleep(0.01)
    return most


async def test_a_host_that_nobody_has_knocked_at_is_sent_what_the_operator_allows(
    space: Space, servers: Counting, hands: Hire
) -> None:
    request_id = await space.add(boxes(servers, 20, ("held",)))
    one: Hands = await hands(provider_limits={"127.0.0.1": PLACES})
    drained = asyncio.create_task(one.drain(request_id))
    await wait_until(lambda: len(servers.asked) == PLACES)
    assert await most_checks(one) == PLACES + SPARE
    servers.let_go.set()
    await drained
    assert (await space.read(request_id)).counts == Counts(total=20, connected=20)
    assert set(servers.asked.values()) == {2}


async def test_rows_of_a_full_host_are_not_looked_for_before_it_has_room(
    space: Space, hands: Hire, monkeypatch: pytest.MonkeyPatch
) -> None:
    brought: list[int] = []

    async def look(*given: Any, **named: Any) -> tuple[list[ClaimedRow], int]:
        claimed, first_row = await claim_rows(*given, **named)
        brought.append(len(claimed))
        return claimed, first_row

    monkeypatch.setattr(draining, "claim_rows", look)
    async with count_logins(0.3) as slow:
        request_id = await space.add(boxes(slow, 50))
        ports = frozenset({slow.smtp_port, slow.imap_port})
        one: Hands = await hands(provider_limits={"127.0.0.1": PLACES}, allow_ports=ports)
        began = time.monotonic()
        await one.drain(request_id)
        seconds = time.monotonic() - began
    assert (await space.read(request_id)).counts == Counts(total=50, connected=50)
    assert brought.count(0) <= 2 * (2 + seconds / REST_SECONDS)


async def test_rows_of_a_small_host_far_behind_a_crowd_go_on_as_soon_as_one_has_ended(
    space: Space, hands: Hire
) -> None:
    async with count_logins(0.1, hosts=2) as servers:
        crowded, small = servers.hosts
        crowd = [box_at(servers, number, "held", crowded) for number in range(1, 701)]
        few = [box_at(servers, number, "good", small) for number in range(701, 711)]
        request_id = await space.add([*crowd, *few])
        ports = frozenset({servers.smtp_port, servers.imap_port})
        one: Hands = await hands(provider_limits={crowded: 1, small: 1}, allow_ports=ports)
        drained = asyncio.create_task(drain_request(one.worker, request_id))
        async with asyncio.timeout(len(few) * 0.5):
            while (await space.read(request_id)).counts.connected < len(few):
                await asyncio.sleep(0.02)
        await stop(one, drained)


@pytest.mark.parametrize("is_half", [False, True], ids=["both sides", "one side"])
async def test_rows_whose_host_is_looked_up_for_long_have_taken_their_room(
    space: Space, servers: Counting, hands: Hire, is_half: bool
) -> None:
    async with serve_names({f"{SLOW} A": SILENT, f"{SLOW} AAAA": SILENT}) as names:
        one: Hands = await hands(dns_servers=(names.address,), check_concurrency=40)
        smtp = Side(True, "", "", "127.0.0.1" if is_half else SLOW, servers.smtp_port, Encryption.NONE)
        imap = Side(True, "", "", SLOW, servers.imap_port, Encryption.NONE)
        rows = [make_row(number, pace_key=SLOW, smtp=smtp, imap=imap) for number in range(1, 41)]
        request_id = await space.add(rows)
        drained = asyncio.create_task(drain_request(one.worker, request_id))
        await wait_until(lambda: bool(names.asked))
        assert await most_checks(one) == START_LIMIT + SPARE
        await stop(one, drained)
    assert one.worker.rooms.share(request_id, space.id, {}, 10) == {}
