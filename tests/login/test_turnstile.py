"""Thousands of checks may be asked for at one moment; they begin as fast as the loop keeps up, and in their order."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import pytest

from app.login.turnstile import MOMENT_SECONDS, MOST_AT_ONCE, Turnstile

CHECKS = 200
HANDSHAKE_SECONDS = 0.003
MOST_STALL_SECONDS = 0.2


@contextlib.asynccontextmanager
async def watch_stalls() -> AsyncIterator[list[float]]:
    """Yield how long the loop was held between two looks, in seconds of the processor: other processes do not count."""

    async def look() -> None:
        seen = time.thread_time()
        while True:
            await asyncio.sleep(0.005)
            now = time.thread_time()
            stalls.append(now - seen)
            seen = now

    stalls: list[float] = []
    task = asyncio.create_task(look())
    try:
        yield stalls
        await asyncio.sleep(0.02)
    finally:
        task.cancel()


async def shake_hands() -> None:
    """Wait as for a server, then keep the processor busy."""
    await asyncio.sleep(0.05)
    ends_at = time.thread_time() + HANDSHAKE_SECONDS
    while time.thread_time() < ends_at:
        pass


@pytest.mark.parametrize("is_held_back", [True, False])
async def test_many_at_once_do_not_hold_the_loop(is_held_back: bool) -> None:
    turnstile = Turnstile()

    async def check() -> None:
        if is_held_back:
            await turnstile.enter()
        await shake_hands()

    async with watch_stalls() as stalls:
        await asyncio.gather(*[check() for _ in range(CHECKS)])
    assert (max(stalls) < MOST_STALL_SECONDS) is is_held_back


async def test_first_come_first_and_who_has_gone_holds_up_nobody() -> None:
    turnstile = Turnstile()
    began: list[int] = []

    async def check(number: int) -> None:
        await turnstile.enter()
        began.append(number)

    tasks = [asyncio.create_task(check(number)) for number in range(100)]
    await asyncio.sleep(0)
    assert 0 < len(began) < 20
    for number in range(50, 60):
        tasks[number].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert began == [*range(50), *range(60, 100)]


async def test_loop_that_keeps_up_lets_them_through_ever_faster() -> None:
    turnstile = Turnstile()
    began = time.thread_time()
    await asyncio.gather(*[turnstile.enter() for _ in range(2000)])
    assert time.thread_time() - began < 0.5
    assert turnstile._at_once > MOST_AT_ONCE / 4


async def test_nothing_goes_on_when_nobody_comes() -> None:
    turnstile = Turnstile()
    await turnstile.enter()
    while turnstile._timer is not None:
        await asyncio.sleep(MOMENT_SECONDS)
    await turnstile.enter()
    assert turnstile._timer is not None
