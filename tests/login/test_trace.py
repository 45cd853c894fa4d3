"""One timer serves all stages, and each keeps its own deadline."""

import asyncio

import pytest

from app.login.trace import Deadlines, Trail
from app.model import Encryption, Server, Stage
from tests.fakes.clock import run_without_waiting

SERVER = Server("mail.example.com", 993, Encryption.SSL)


async def run_stages(deadlines: Deadlines, *stages: tuple[Stage, float]) -> tuple[Stage, bool, dict[str, int]]:
    """Spend time in stages; return the last one, whether a deadline ended it, and the timings."""
    trail = Trail(SERVER, deadlines)
    trail.start()
    try:
        for stage, seconds in stages:
            trail.enter(stage)
            await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        return trail.stage, trail.stop(), trail.freeze().timings
    return trail.stage, trail.stop(), trail.freeze().timings


def test_stage_within_its_time_is_not_disturbed() -> None:
    deadlines = Deadlines(total=5, connect=0.1, auth=1)
    ended = run_without_waiting(run_stages(deadlines, (Stage.CONNECT, 0.05), (Stage.AUTH, 0.3)))
    assert ended[:2] == (Stage.AUTH, False)
    assert ended[2]["connect"] == pytest.approx(50, abs=2)
    assert ended[2]["auth"] == pytest.approx(300, abs=2)


def test_stage_that_takes_too_long_is_ended() -> None:
    ended = run_without_waiting(run_stages(Deadlines(connect=5, tls=0.1), (Stage.CONNECT, 0.01), (Stage.TLS, 3)))
    assert ended[:2] == (Stage.TLS, True)
    assert ended[2]["tls"] == pytest.approx(100, abs=2)


def test_later_stage_with_more_time_gets_it() -> None:
    ended = run_without_waiting(run_stages(Deadlines(connect=0.1, auth=0.4), (Stage.CONNECT, 0.01), (Stage.AUTH, 3)))
    assert ended[:2] == (Stage.AUTH, True)
    assert ended[2]["auth"] == pytest.approx(400, abs=2)


def test_whole_check_has_a_deadline_too() -> None:
    stages = [(Stage.CONNECT, 0.1), (Stage.TLS, 0.1), (Stage.GREET, 0.1), (Stage.AUTH, 3)]
    ended = run_without_waiting(run_stages(Deadlines(total=0.4), *stages))
    assert ended[:2] == (Stage.AUTH, True)
    assert ended[2]["auth"] == pytest.approx(100, abs=2)


def test_stage_entered_twice_adds_up() -> None:
    stages = [(Stage.GREET, 0.06), (Stage.TLS, 0.01), (Stage.GREET, 0.06)]
    assert run_without_waiting(run_stages(Deadlines(), *stages))[2]["greet"] == pytest.approx(120, abs=2)


async def test_cancelling_from_outside_is_not_taken_for_a_deadline() -> None:
    task = asyncio.create_task(run_stages(Deadlines(), (Stage.AUTH, 5)))
    await asyncio.sleep(0.05)
    task.cancel()
    assert (await task)[1] is False


async def test_deadline_leaves_the_task_able_to_go_on() -> None:
    async def twice() -> int:
        await run_stages(Deadlines(tls=0.05), (Stage.TLS, 3))
        async with asyncio.timeout(5):
            await asyncio.sleep(0.01)
        task = asyncio.current_task()
        assert task is not None
        return task.cancelling()

    assert await asyncio.create_task(twice()) == 0


@pytest.mark.parametrize("stage", list(Stage))
def test_every_stage_has_a_deadline(stage: Stage) -> None:
    assert Deadlines().of(stage) > 0
