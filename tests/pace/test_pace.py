"""Turns are waited for, given back whatever happens, counted by the row's key and by the door that it knocks at."""

import asyncio
from contextlib import AbstractAsyncContextManager, AsyncExitStack

import aiohttp
import pytest

from app import pace as pacing
from app.codes import Code
from app.gate import START_LIMIT
from app.load import Way
from app.metrics import Metrics, serve_metrics
from app.model import Encryption, Protocol
from app.pace import MANY, NoTurn, Pace

SMTP, IMAP = Protocol.SMTP, Protocol.IMAP
DOOR = "192.0.2.1"
WAY: Way = (465, Encryption.SSL)


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


async def end(pace: Pace, code: Code, *, key: str = "", times: int = 1, door: str = DOOR) -> None:
    for _ in range(times):
        async with pace.turn(door, SMTP, pace_key=key, seconds=0):
            pass
        pace.observe(door, SMTP, code, WAY)


async def test_turn_is_given_back_whatever_happens() -> None:
    pace = Pace({DOOR: 1})
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            async with pace.turn(DOOR, SMTP, seconds=0):
                raise ZeroDivisionError
    holder = asyncio.Event()

    async def hold() -> None:
        async with pace.turn(DOOR, SMTP):
            await holder.wait()

    task = asyncio.create_task(hold())
    await asyncio.sleep(0)
    with pytest.raises(NoTurn):
        async with pace.turn(DOOR, SMTP, seconds=0):
            pass
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    async with pace.turn(DOOR, SMTP, seconds=0):
        pass


async def test_who_waits_is_let_in_as_soon_as_somebody_leaves() -> None:
    pace = Pace({DOOR: 2})
    most = running = 0

    async def check() -> None:
        nonlocal most, running
        async with pace.turn(DOOR, SMTP, seconds=10):
            running += 1
            most = max(most, running)
            await asyncio.sleep(0.001)
            running -= 1

    began_at = asyncio.get_running_loop().time()
    for _ in range(5):
        await asyncio.gather(*(check() for _ in range(2 + START_LIMIT)))
    assert most == 2
    assert asyncio.get_running_loop().time() - began_at < 2


async def test_crowd_is_sent_away_at_once_and_has_room_in_its_order() -> None:
    clock = Clock()
    pace = Pace({DOOR: 2}, now=clock)

    async def knock(number: int) -> None:
        async with pace.turn(DOOR, SMTP, pace_key=f"k{number}", seconds=60):
            pass

    async with AsyncExitStack() as stack:
        for number in range(2):
            await stack.enter_async_context(pace.turn(DOOR, SMTP, pace_key=f"in{number}"))
        patient = [asyncio.create_task(knock(100 + number)) for number in range(START_LIMIT)]
        await asyncio.sleep(0)
        for number in range(5):
            with pytest.raises(NoTurn):
                await knock(number)
    await asyncio.gather(*patient)

    def list_with_room() -> set[str]:
        return {key for key, room in pace.rooms().items() if room and key != DOOR}

    assert list_with_room() == {"k0", "k1"}
    await knock(0)
    assert list_with_room() == {"k1", "k2"}
    clock.now += 3
    assert list_with_room() == {"k3", "k4"}
    clock.now += 3
    pace.rooms()
    assert set(pace.rooms().values()) == {2}


async def test_cancelled_waiting_leaves_no_trace() -> None:
    pace = Pace({DOOR: 1})
    async with pace.turn(DOOR, SMTP):
        waiting = asyncio.create_task(pace.turn(DOOR, SMTP, seconds=60).__aenter__())
        await asyncio.sleep(0.01)
        assert pace.describe()[0]["waiting"] == 1
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert pace.describe()[0]["waiting"] == 0
    assert pace.describe()[0]["inUse"] == 0


async def test_who_finds_it_closed_for_longer_is_sent_away_at_once() -> None:
    clock = Clock()
    pace = Pace(now=clock)
    await end(pace, Code.TEMPORARY_SERVER_ERROR)
    for _ in range(3):
        await end(pace, Code.TEMPORARY_SERVER_ERROR)
        clock.now += 5
    await end(pace, Code.TEMPORARY_SERVER_ERROR)
    with pytest.raises(NoTurn) as caught:
        async with pace.turn(DOOR, SMTP, seconds=2):
            pass
    assert caught.value.seconds == 8


async def test_sides_have_turns_of_their_own_and_a_row_needs_both() -> None:
    pace = Pace({DOOR: 3})
    async with pace.turn(DOOR, SMTP, pace_key="example.com"):
        async with pace.turn(DOOR, IMAP, pace_key="example.com"), pace.turn(DOOR, IMAP, pace_key="example.com"):
            assert pace.rooms()["example.com"] == 1
        assert pace.rooms()["example.com"] == 2
    assert pace.rooms()["example.com"] == 3
    assert pace.room_of("example.com") == 3
    assert pace.room_of("example.net") == pace.default_room() == START_LIMIT


@pytest.mark.parametrize("name", [DOOR, "example.com", "mail.example.com"])
async def test_operators_limit_may_name_address_key_or_host(name: str) -> None:
    pace = Pace({name: 1})
    async with pace.turn(DOOR, SMTP, pace_key="example.com", host="mail.example.com"):
        assert pace.rooms()["example.com"] == 0


async def test_operators_limit_counts_before_anybody_has_knocked() -> None:
    pace = Pace({"mail.small.example": 4, "small.example": 2, "mx.tiny.example": 1, "large.example": 50})
    rooms = pace.rooms()
    assert (rooms["small.example"], rooms["tiny.example"], rooms.get("large.example")) == (2, 1, None)
    assert [pace.room_of(f"{name}.example") for name in ("small", "tiny", "large")] == [2, 1, START_LIMIT]


async def test_rows_of_a_hopeless_host_are_let_through_to_their_end() -> None:
    clock = Clock()
    pace = Pace(now=clock, patience_seconds=100)
    await end(pace, Code.CONNECTION_TIMEOUT, key="example.com", times=8)
    assert pace.shut_for(DOOR, SMTP) is Code.CONNECTION_TIMEOUT
    assert pace.end_for(DOOR, SMTP) is None
    assert pace.rooms() == {"example.com": 0}
    while clock.now < 1120:
        clock.now += 20
        await end(pace, Code.CONNECTION_TIMEOUT, key="example.com")
    clock.now += 1
    assert pace.end_for(DOOR, SMTP) is Code.CONNECTION_TIMEOUT
    assert pace.rooms() == {"example.com": MANY}


async def test_strangers_get_half_of_the_slots() -> None:
    pace = Pace(slots=100)
    held: list[AbstractAsyncContextManager[None]] = []
    while pace.default_room():
        turn = pace.turn(f"192.0.2.{len(held)}", SMTP)
        await turn.__aenter__()
        held.append(turn)
    assert len(held) == 50
    assert set(pace.rooms().values()) == {0}
    for taken in held:
        await taken.__aexit__(None, None, None)
    assert pace.default_room() == START_LIMIT


async def test_claims_look_at_no_more_hosts_than_have_somebody_at_them() -> None:
    pace = Pace(slots=100)
    for number in range(300):
        await end(pace, Code.OK, key=f"k{number}", door=f"door {number}")
    async with pace.turn("door 7", SMTP, pace_key="k7"):
        pace.rooms()
        assert set(pace.rooms()) == {"k7"}
    assert pace.rooms() == {}
    assert pace.room_of("k7") >= START_LIMIT


async def test_hosts_that_answered_have_room_while_strangers_have_none() -> None:
    pace = Pace(slots=20)
    await end(pace, Code.OK, key="good")
    async with AsyncExitStack() as stack:
        for number in range(20):
            await stack.enter_async_context(pace.turn(f"door {number}", SMTP))
        assert pace.default_room() == 0
        rooms = pace.rooms()
    assert rooms.pop("good") >= START_LIMIT
    assert set(rooms.values()) == {0}


async def test_memory_does_not_grow_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pacing, "KEYS_KEPT", 20)
    pace = Pace()
    async with pace.turn("192.0.2.250", SMTP, pace_key="held"):
        for number in range(200):
            await end(pace, Code.OK, key=f"k{number}", door=f"192.0.2.{number}")
        assert len(pace.describe()) <= 21
        assert len(pace.rooms()) <= 21
        assert "held" in pace.rooms()


async def test_what_a_host_bears_can_be_seen() -> None:
    clock = Clock()
    pace = Pace(now=clock)
    await end(pace, Code.OK, times=20)
    await end(pace, Code.OK, door="192.0.2.2")
    await end(pace, Code.RATE_LIMITED)
    clock.now += 60.5
    await end(pace, Code.OK)
    seen = pace.describe()
    assert [entry["door"] for entry in seen] == [DOOR, "192.0.2.2"]
    assert seen[0]["loginsPerMinute"] == pytest.approx(19, abs=0.5)
    assert [entry["state"] for entry in seen] == ["slowed", "open"]
    assert len(pace.describe(most=1)) == 1
    assert pace.count_states() == {("smtp", "slowed"): 1, ("smtp", "open"): 1}


async def test_pace_is_served_beside_the_metrics() -> None:
    metrics, pace = Metrics(), Pace()
    await end(pace, Code.OK)
    metrics.count_hosts(pace.count_states())
    runner = await serve_metrics(metrics, "127.0.0.1:0", pace.describe)
    assert runner is not None
    try:
        port = runner.addresses[0][1]
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
            async with session.get("/debug/pace") as answer:
                assert [host["door"] for host in (await answer.json())["hosts"]] == [DOOR]
            async with session.get("/metrics") as answer:
                assert 'bulk_connect_hosts{protocol="smtp",state="open"} 1.0' in await answer.text()
    finally:
        await runner.cleanup()


async def test_a_host_that_the_operator_names_is_taken_to_bear_it_wrong_passwords_too() -> None:
    pace = Pace({"mail.example.com": 60})
    for _ in range(1500):
        async with pace.turn("192.0.2.1", Protocol.IMAP, host="mail.example.com"):
            pass
        pace.observe("192.0.2.1", Protocol.IMAP, Code.OK, (993, Encryption.SSL))
    for _ in range(20):
        pace.observe("192.0.2.1", Protocol.IMAP, Code.INVALID_CREDENTIALS, (993, Encryption.SSL))
    (gate,) = pace.describe()
    assert (gate["limit"], gate["pauseSeconds"]) == (60, 0.0)
