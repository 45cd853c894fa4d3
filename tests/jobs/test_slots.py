"""Check slots: as many as there are, never more, first come, first served."""

import asyncio
import random
from collections import Counter

from jobs.slots import Slots


async def test_free_slots_are_taken_at_once_up_to_what_is_wanted() -> None:
    slots = Slots(10)
    assert await slots.acquire(4) == 4
    assert slots.free == 6
    assert await slots.acquire(25) == 6
    assert slots.free == 0


async def test_a_drain_waits_for_a_slot_and_is_woken_by_one() -> None:
    slots = Slots(1)
    assert await slots.acquire(1) == 1
    waiting = asyncio.create_task(slots.acquire(5))
    await asyncio.sleep(0)
    assert not waiting.done()
    slots.release()
    assert await waiting == 1
    assert slots.free == 0


async def test_slots_that_come_free_within_a_moment_are_taken_together() -> None:
    slots = Slots(5)
    await slots.acquire(5)
    waiting = asyncio.create_task(slots.acquire(5))
    await asyncio.sleep(0)
    slots.release()
    await asyncio.sleep(0)
    slots.release(2)
    assert await waiting == 3


async def test_those_who_wait_are_served_in_the_order_they_came() -> None:
    slots = Slots(1)
    await slots.acquire(1)
    served: list[int] = []

    async def wait(number: int) -> None:
        assert await slots.acquire(25) == 1
        served.append(number)
        slots.release()

    tasks = [asyncio.create_task(wait(number)) for number in range(5)]
    await asyncio.sleep(0)
    slots.release()
    await asyncio.gather(*tasks)
    assert served == [0, 1, 2, 3, 4]


async def test_a_newcomer_does_not_take_the_slot_of_one_who_waited() -> None:
    slots = Slots(1)
    await slots.acquire(1)
    first = asyncio.create_task(slots.acquire(1))
    await asyncio.sleep(0)
    slots.release()
    newcomer = asyncio.create_task(slots.acquire(1))
    await asyncio.sleep(0.1)
    assert first.done()
    assert not newcomer.done()
    slots.release()
    assert await newcomer == 1


async def test_many_slots_are_shared_among_those_who_wait() -> None:
    slots = Slots(8)
    await slots.acquire(8)
    tasks = [asyncio.create_task(slots.acquire(25)) for _ in range(2)]
    await asyncio.sleep(0)
    slots.release(8)
    taken = await asyncio.gather(*tasks)
    assert sum(taken) == 8
    assert min(taken) >= 1


async def test_one_who_leaves_the_queue_costs_nobody_a_slot() -> None:
    slots = Slots(1)
    await slots.acquire(1)
    leaver, stayer = asyncio.create_task(slots.acquire(1)), asyncio.create_task(slots.acquire(1))
    await asyncio.sleep(0)
    leaver.cancel()
    await asyncio.wait({leaver})
    slots.release()
    assert await stayer == 1


async def test_one_who_leaves_at_the_moment_it_is_his_turn_passes_it_on() -> None:
    slots = Slots(1)
    await slots.acquire(1)
    leaver, stayer = asyncio.create_task(slots.acquire(1)), asyncio.create_task(slots.acquire(1))
    await asyncio.sleep(0)
    slots.release()
    leaver.cancel()
    assert await stayer == 1
    assert leaver.cancelled()


async def test_one_who_leaves_while_he_gathers_gives_back_what_he_has() -> None:
    slots = Slots(3)
    gathering = asyncio.create_task(slots.acquire(25))
    await asyncio.sleep(0.005)
    assert slots.free == 0
    gathering.cancel()
    await asyncio.wait({gathering})
    assert slots.free == 3


async def test_in_any_commotion_slots_are_neither_made_nor_lost() -> None:
    dice = random.Random(7)
    slots, in_use, most_in_use = Slots(5), 0, 0

    async def work() -> None:
        nonlocal in_use, most_in_use
        taken = await slots.acquire(dice.randint(1, 4))
        assert taken >= 1
        in_use += taken
        most_in_use = max(most_in_use, in_use)
        try:
            await asyncio.sleep(dice.random() / 500)
        finally:
            in_use -= taken
            slots.release(taken)

    tasks = [asyncio.create_task(work()) for _ in range(200)]
    for task in tasks:
        await asyncio.sleep(dice.random() / 500)
        if dice.random() < 0.3:
            task.cancel()
    await asyncio.wait(tasks)
    assert most_in_use == 5
    assert slots.free == 5


async def test_a_slot_goes_to_the_workspace_that_holds_the_fewest() -> None:
    slots = Slots(6)
    assert await slots.acquire(6, "many") == 6
    crowd = [asyncio.create_task(slots.acquire(6, "many")) for _ in range(20)]
    await asyncio.sleep(0)
    one = asyncio.create_task(slots.acquire(25, "few"))
    await asyncio.sleep(0)
    for _ in range(3):
        slots.release(1, "many")
    assert await one == 3
    slots.release(1, "few")
    await asyncio.sleep(0)
    assert sum(task.done() or task in crowd[:1] for task in crowd) == 1
    for task in crowd:
        task.cancel()
    await asyncio.wait(crowd)


async def test_workspaces_share_alike_however_many_drains_each_has() -> None:
    slots = Slots(20)
    held: Counter[str] = Counter()
    seen: Counter[str] = Counter()
    dice = random.Random(3)

    async def check(party: str) -> None:
        await asyncio.sleep(0.05 + dice.random() / 10)
        held[party] -= 1
        slots.release(1, party)

    async def drain(party: str) -> None:
        while True:
            taken = await slots.acquire(25, party)
            held[party] += taken
            checks.update(asyncio.create_task(check(party)) for _ in range(taken))

    checks: set[asyncio.Task[None]] = set()
    drains = [asyncio.create_task(drain(party)) for party in ("a",) * 15 + ("b",)]
    for _ in range(100):
        await asyncio.sleep(0.01)
        seen.update(held)
    for task in drains:
        task.cancel()
    await asyncio.wait([*drains, *checks])
    assert seen["a"] + seen["b"] > 100 * 20 * 0.5
    assert 0.7 < seen["a"] / seen["b"] < 1.4
    assert slots.free == 20


async def test_who_gets_the_next_slots_can_be_seen() -> None:
    slots = Slots(4)
    assert await slots.acquire(4, "large") == 4
    asks = [asyncio.create_task(slots.acquire(3, party)) for party in ("large", "small")]
    await asyncio.sleep(0)
    assert slots.describe() == [
        {"workspaceId": "small", "wants": 3, "held": 0},
        {"workspaceId": "large", "wants": 3, "held": 4},
    ]
    for ask in asks:
        ask.cancel()
    await asyncio.gather(*asks, return_exceptions=True)
    assert slots.describe() == []
