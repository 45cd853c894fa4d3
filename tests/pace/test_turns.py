"""Turns at one gate: first come, first served, and none is lost."""

import asyncio
from collections.abc import Callable

from app.gate import Gate
from app.turns import Turns


def open_turns(cap: int, now: Callable[[], float] | None = None) -> Turns:
    return Turns(Gate(cap=cap), now or asyncio.get_running_loop().time)


async def hold(turns: Turns, number: int, came: list[int], let_go: asyncio.Event) -> float:
    waits = await turns.take(10)
    if not waits:
        came.append(number)
        await let_go.wait()
        turns.give_back()
    return waits


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_who_came_first_is_next() -> None:
    turns, came, let_go = open_turns(1), list[int](), asyncio.Event()
    turns.gate.limit = 10.0
    let_go.set()
    await turns.take(0)
    tasks = [asyncio.create_task(hold(turns, number, came, let_go)) for number in range(5)]
    await settle()
    assert came == []
    turns.give_back()
    assert await asyncio.gather(*tasks) == [0.0] * 5
    assert came == [0, 1, 2, 3, 4]


async def test_a_newcomer_does_not_pass_those_who_wait() -> None:
    turns, came, let_go = open_turns(1), list[int](), asyncio.Event()
    await turns.take(0)
    first = asyncio.create_task(hold(turns, 1, came, let_go))
    await settle()
    turns.give_back()  # free, and not yet given to the one who waits
    second = asyncio.create_task(hold(turns, 2, came, let_go))
    await settle()
    assert came == [1]
    let_go.set()
    await asyncio.gather(first, second)
    assert came == [1, 2]


async def test_one_free_turn_wakes_one() -> None:
    turns, came, let_go = open_turns(2), list[int](), asyncio.Event()
    await turns.take(0)
    await turns.take(0)
    tasks = [asyncio.create_task(hold(turns, number, came, let_go)) for number in range(4)]
    await settle()
    turns.give_back()
    await settle()
    assert (came, turns.gate.in_use, turns.gate.waiting) == ([0], 2, 3)
    let_go.set()
    turns.give_back()
    await asyncio.gather(*tasks)
    assert (turns.gate.in_use, turns.gate.waiting) == (0, 0)


async def test_a_turn_given_to_one_who_leaves_goes_to_the_next() -> None:
    turns, came, let_go = open_turns(1), list[int](), asyncio.Event()
    let_go.set()
    await turns.take(0)
    tasks = [asyncio.create_task(hold(turns, number, came, let_go)) for number in range(3)]
    await settle()
    tasks[1].cancel()  # while it waits
    turns.give_back()
    await asyncio.sleep(0)  # the first has the turn now, and has not run yet
    tasks[0].cancel()
    ends = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(end) for end in ends] == [asyncio.CancelledError, asyncio.CancelledError, float]
    assert came == [2]
    assert (turns.gate.in_use, turns.gate.waiting) == (0, 0)


async def test_who_waits_too_long_is_told_when_to_come_back() -> None:
    turns = open_turns(1)
    await turns.take(0)
    assert await turns.take(0.01) == 1.0
    assert (turns.gate.in_use, turns.gate.waiting) == (1, 0)


async def test_nobody_waits_at_a_gate_that_stays_closed_for_longer() -> None:
    clock = [100.0]
    turns, came, let_go = open_turns(1, lambda: clock[0]), list[int](), asyncio.Event()
    await turns.take(0)
    waiting = asyncio.create_task(hold(turns, 1, came, let_go))  # for ten seconds at most
    await settle()
    turns.gate.opens_at = 160.0
    turns.give_back()
    assert await waiting == 60.0
    assert await turns.take(10) == 60.0
    assert turns.gate.waiting == 0


async def test_those_who_can_wait_have_their_turn_when_the_gate_opens() -> None:
    turns, came, let_go = open_turns(1), list[int](), asyncio.Event()
    let_go.set()
    turns.gate.opens_at = asyncio.get_running_loop().time() + 0.05
    assert await hold(turns, 1, came, let_go) == 0.0
    assert asyncio.get_running_loop().time() >= turns.gate.opens_at
    assert came == [1]


async def test_no_more_wait_than_are_let_in_at_a_time() -> None:
    turns, came, let_go = open_turns(1), list[int](), asyncio.Event()
    turns.gate.limit = 2.0
    await turns.take(0)
    waiting = [asyncio.create_task(hold(turns, number, came, let_go)) for number in range(2)]
    await settle()
    assert await turns.take(10) == 1.0
    let_go.set()
    turns.give_back()
    await asyncio.gather(*waiting)
