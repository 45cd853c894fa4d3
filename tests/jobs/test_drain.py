"""A drain keeps the window full, serves small requests beside large ones, and tries again only what is open."""

import asyncio
import itertools
from typing import Any
from uuid import uuid4

import pytest
from msgspec.structs import replace
from redis.asyncio import Redis

from app.enqueue import QUEUE_NAME
from app.model import Counts
from app.seal import Keyring, new_key_text
from app.store.checks import ClaimedRow, claim_rows, list_settled_sides
from jobs import drain_request as draining
from jobs.drain_request import drain_request
from jobs.looks import FAR, NEAR
from tests.fakes.counting import Counting
from tests.jobs.hands import Hands, Hire, box, boxes, codes_of, wait_until
from tests.store.ledger import Space, ended, make_rows


async def test_every_row_is_checked_once_and_every_outcome_is_right(
    space: Space, servers: Counting, hands: Hire
) -> None:
    request_id = await space.add(boxes(servers, 40, ("good", "good", "good", "wrong")))
    one: Hands = await hands()
    await one.drain(request_id)
    assert (await space.read(request_id)).counts == Counts(total=40, connected=30, failed=10)
    assert one.closed == [request_id]
    assert set(servers.asked.values()) == {2}  # one login for each protocol
    assert await codes_of(space, request_id, 3) == ("failed", "invalid_credentials", "invalid_credentials")
    assert one.worker.slots.free == one.worker.settings.check_concurrency


async def test_two_workers_share_a_request_and_check_no_row_twice(space: Space, servers: Counting, hands: Hire) -> None:
    request_id = await space.add(boxes(servers, 60))
    one, two = await hands(check_concurrency=4), await hands(check_concurrency=4)
    await asyncio.gather(one.drain(request_id), two.drain(request_id))
    assert (await space.read(request_id)).counts == Counts(total=60, connected=60)
    assert set(servers.asked.values()) == {2}
    assert [*one.closed, *two.closed] == [request_id]


async def test_a_check_that_ends_makes_room_for_the_next_while_others_hang(
    space: Space, servers: Counting, hands: Hire
) -> None:
    rows = [box(servers, 1, "held"), box(servers, 2, "held"), *boxes(servers, 20)[2:]]
    request_id = await space.add(rows)
    one: Hands = await hands(check_concurrency=3)
    drained = asyncio.create_task(one.drain(request_id))
    while (await space.read(request_id)).counts.connected < 18:
        await asyncio.sleep(0.02)
    assert (await space.read(request_id)).counts.pending == 2
    servers.let_go.set()
    await drained
    assert (await space.read(request_id)).counts == Counts(total=20, connected=20)


async def test_no_more_checks_run_than_there_are_slots(space: Space, servers: Counting, hands: Hire) -> None:
    request_id = await space.add([box(servers, number, "held") for number in range(1, 9)])
    one: Hands = await hands(check_concurrency=3)
    drained = asyncio.create_task(one.drain(request_id))
    await wait_until(lambda: len(one.worker.checks) == 3)
    await asyncio.sleep(0.2)
    assert len(one.worker.checks) == 3
    assert one.worker.slots.free == 0
    assert await space.db.fetchval("SELECT count(*) FROM request_rows WHERE state = 'checking'") == 3
    servers.let_go.set()
    await drained


async def test_a_small_request_is_served_beside_a_big_one(space: Space, servers: Counting, hands: Hire) -> None:
    servers.delay_seconds = 0.1
    big = await space.add(boxes(servers, 200))
    one: Hands = await hands(check_concurrency=4)
    busy = asyncio.create_task(one.drain(big))
    await wait_until(lambda: len(one.worker.checks) == 4)
    small = await space.add([box(servers, number) for number in range(301, 304)])
    await one.worker.recorder.flush(1)
    await drain_request(one.worker, small)
    while (await space.read(small)).counts.pending:
        await asyncio.sleep(0.02)
    assert (await space.read(big)).counts.pending > 100
    servers.delay_seconds = 0.0
    await busy
    assert (await space.read(big)).counts == Counts(total=200, connected=200)


async def test_a_host_with_no_room_makes_its_rows_wait_and_no_others(
    space: Space, servers: Counting, hands: Hire, monkeypatch: pytest.MonkeyPatch
) -> None:
    one: Hands = await hands()
    closed = {"127.0.0.1": 0}
    monkeypatch.setattr(type(one.worker.kit.pace), "rooms", lambda _: dict(closed))
    elsewhere = [replace(box(servers, number), pace_key="localhost") for number in range(4, 7)]
    request_id = await space.add([*boxes(servers, 3), *elsewhere])
    drained = asyncio.create_task(one.drain(request_id))
    while (await space.read(request_id)).counts.connected < 3:
        await asyncio.sleep(0.02)
    assert await space.db.fetchval("SELECT array_agg(row ORDER BY row) FROM request_rows WHERE state = 'queued'") == [
        1,
        2,
        3,
    ]
    closed["127.0.0.1"] = 10
    await drained
    assert (await space.read(request_id)).counts == Counts(total=6, connected=6)


async def test_rows_far_behind_those_of_a_crowded_host_are_found(
    space: Space, servers: Counting, hands: Hire, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[tuple[int, bool]] = []

    async def look(*given: Any, scan: int, **named: Any) -> tuple[list[ClaimedRow], int]:
        claimed, first_row = await claim_rows(*given, scan=scan, **named)
        looks.append((scan // given[3], len(claimed) == given[3]))
        return claimed, first_row

    def tell_rooms(_: object) -> dict[str, int]:
        few = sum(name.startswith("held-") for name in servers.asked) < 3
        return {} if servers.let_go.is_set() else {"127.0.0.1": int(few)}

    monkeypatch.setattr(draining, "claim_rows", look)
    one: Hands = await hands(check_concurrency=8)
    monkeypatch.setattr(type(one.worker.kit.pace), "rooms", tell_rooms)
    crowd = [box(servers, number, "held") for number in range(9, 109)]
    elsewhere = [replace(box(servers, number), pace_key="localhost") for number in (*range(1, 9), *range(109, 112))]
    request_id = await space.add([*elsewhere[:8], *crowd, *elsewhere[8:]])
    drained = asyncio.create_task(one.drain(request_id))
    async with asyncio.timeout(10):
        while (await space.read(request_id)).counts.connected < len(elsewhere):
            await asyncio.sleep(0.02)
    followed = [(scan, is_full, after) for (scan, is_full), (after, _) in itertools.pairwise(looks)]
    assert FAR in {after for scan, is_full, after in followed if scan == NEAR and not is_full}
    assert {after for _, is_full, after in followed if is_full} <= {NEAR}
    servers.let_go.set()
    await drained


async def test_a_second_drain_of_one_request_in_one_worker_does_nothing(
    space: Space, servers: Counting, hands: Hire
) -> None:
    request_id = await space.add([box(servers, 1, "held")])
    one: Hands = await hands()
    await drain_request(one.worker, request_id)
    one.worker.draining[request_id] = asyncio.create_task(asyncio.sleep(0))
    await drain_request(one.worker, request_id)
    await one.worker.draining.pop(request_id)
    assert len(one.worker.checks) == 1
    servers.let_go.set()
    await one.finish()


async def test_what_is_gone_is_not_drained(space: Space, hands: Hire) -> None:
    one: Hands = await hands()
    await one.drain(uuid4())
    assert not one.worker.draining


async def test_a_drain_that_has_enough_to_do_calls_the_others(
    space: Space, servers: Counting, hands: Hire, redis_url: str
) -> None:
    request_id = await space.add([box(servers, number, "held") for number in range(1, 30)])
    one: Hands = await hands(check_concurrency=5)
    await hands()
    async with Redis.from_url(redis_url) as redis:
        await redis.delete(QUEUE_NAME)
        drained = asyncio.create_task(one.drain(request_id))
        while not await redis.zcard(QUEUE_NAME):
            await asyncio.sleep(0.01)
        (bell,) = await redis.zrange(QUEUE_NAME, 0, -1)
        assert str(request_id).encode() in bell
        servers.let_go.set()
        await drained


async def test_a_drain_whose_slice_is_over_rings_for_itself(
    space: Space, servers: Counting, hands: Hire, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(draining, "SLICE_SECONDS", 0.0)
    request_id = await space.add(boxes(servers, 3))
    one: Hands = await hands()
    async with Redis.from_url(redis_url) as redis:
        await redis.delete(QUEUE_NAME)
        await one.drain(request_id)
        assert await redis.zcard(QUEUE_NAME) == 1
    assert (await space.read(request_id)).counts.pending == 3


async def test_rows_claimed_at_the_very_end_go_back_unchecked(
    space: Space, servers: Counting, hands: Hire, monkeypatch: pytest.MonkeyPatch
) -> None:
    request_id = await space.add(boxes(servers, 5))
    one: Hands = await hands()
    claim = claim_rows

    async def claim_and_stop(*words: Any, **more: Any) -> Any:
        found = await claim(*words, **more)
        one.worker.stopping.set()
        return found

    monkeypatch.setattr(draining, "claim_rows", claim_and_stop)
    await one.drain(request_id)
    assert not servers.asked
    row = await space.row(request_id)
    assert (row["state"], row["smtp_login_count"], row["imap_unanswered_count"]) == ("queued", 0, 0)
    assert one.worker.slots.free == 20
    await drain_request(one.worker, request_id)
    assert not one.worker.checks


async def test_a_request_waits_while_the_operator_has_lost_the_secret_key(
    space: Space, servers: Counting, hands: Hire
) -> None:
    request_id = await space.add(boxes(servers, 2))
    one: Hands = await hands()
    one.worker.keyring = Keyring.from_texts([new_key_text()])
    await one.drain(request_id)
    assert (await space.read(request_id)).counts.pending == 2
    one.worker.keyring = space.keyring
    await one.drain(request_id)
    assert (await space.read(request_id)).counts.connected == 2


async def test_a_request_larger_than_postgresql_knew_of_is_told_to_it(
    space: Space, servers: Counting, hands: Hire
) -> None:
    await space.db.execute("UPDATE pg_class SET relpages = 0, reltuples = -1 WHERE oid = 'request_rows'::regclass")
    request_id = await space.add([*boxes(servers, 3), *make_rows(503)[3:]])
    await space.db.execute(
        "UPDATE request_rows SET state = 'done', outcome = 'failed' WHERE request_id = $1 AND row > 3", request_id
    )
    one: Hands = await hands()
    await one.drain(request_id)
    assert await space.db.fetchval("SELECT relpages FROM pg_class WHERE oid = 'request_rows'::regclass") > 20


async def test_results_that_became_many_in_the_middle_of_a_drain_are_told_to_it(
    space: Space, servers: Counting, hands: Hire, monkeypatch: pytest.MonkeyPatch
) -> None:
    earlier, worker = await space.add(make_rows(500)), uuid4()
    await space.end(worker, *map(ended, await space.claim(earlier, worker, 500)))
    request_id = await space.add([box(servers, 1, smtp="good", imap="later")])
    one: Hands = await hands()
    await one.drain(request_id)
    await space.db.execute("UPDATE request_rows SET state = 'queued', due_at = NULL WHERE state = 'waiting'")

    async def claim_from_few(*given: Any, **named: Any) -> tuple[list[ClaimedRow], int]:
        await space.db.execute("UPDATE pg_class SET relpages = 0, reltuples = -1 WHERE oid = 'checks'::regclass")
        return await claim_rows(*given, **named)

    async def look_up(*given: Any) -> Any:
        known.append(await space.db.fetchval("SELECT relpages FROM pg_class WHERE oid = 'checks'::regclass"))
        return await list_settled_sides(*given)

    known: list[int] = []
    monkeypatch.setattr(draining, "claim_rows", claim_from_few)
    monkeypatch.setattr(draining, "list_settled_sides", look_up)
    await one.drain(request_id)
    assert await codes_of(space, request_id) == ("connected", "ok", "ok")
    assert min(known) > 20
