"""However many bad servers are met, memory and open files stay as they were."""

import asyncio
import contextlib
import ctypes
import functools
import gc
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from app.codes import Code
from app.login.trace import Deadlines
from tests.fakes.behaviour import Behaviour, Scene
from tests.fakes.zoo import ZOO, list_cases
from tests.zoo.keeper import Ground, look

ROUNDS = 200
WARM_UP = 40
IN_A_ROUND = 10
IMPATIENCE = Deadlines(total=0.7, tls=0.5, greet=0.08, auth=0.08, select=0.08)
"""What comes of a round does not matter here, so it need not wait."""

MOST_BYTES_GROWN = 3 * 512 * 1024
"""Of 160 rounds with 10 checks and as many servers each: 1 KB a check would be seen."""
MOST_OBJECTS_GROWN = 300
MADE_OF = {"app", "asyncio", "_asyncio", "uvloop", "ssl", "_ssl", "socket", "_socket", "aiosmtplib", "aioimaplib"}


def read_memory_bytes() -> int:
    """Return what is resident, once all that is free has been given back."""
    forget_what_is_bounded()
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)  # glibc keeps what was freed, to have it at hand
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def forget_what_is_bounded() -> None:
    """Empty caches that have a limit of their own: they may fill while they are measured."""
    for each in gc.get_objects():
        is_cache = type(each) is functools._lru_cache_wrapper and each.__module__.startswith("app.")
        if is_cache and each.cache_parameters()["maxsize"] is not None:
            each.cache_clear()


def count_objects() -> int:
    """Count what checks and connections are made of; what else lives in this process is other tests' business."""
    return sum(str(type(each).__module__).partition(".")[0] in MADE_OF for each in gc.get_objects())


def count_open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def deal_rounds() -> list[Sequence[tuple[Behaviour, Scene, Code]]]:
    """Deal all cases out in turn, so that every round is another mix and each case comes several times."""
    floods = {"folders without end", "messages announced without end"}  # 8 MB each: they would be all of the time
    cases = [case for case in list_cases() if case[0].name not in floods]
    step = 37  # shares no factor with the count, as the next line sees to
    while len(cases) % step == 0:
        cases.pop()
    order = [cases[index * step % len(cases)] for index in range(len(cases))]
    return [
        [order[(number * IN_A_ROUND + place) % len(order)] for place in range(IN_A_ROUND)] for number in range(ROUNDS)
    ]


@pytest.mark.usefixtures("calm")
async def test_memory_and_open_files_are_flat_over_many_rounds(grounds: Ground) -> None:
    hasty = replace(grounds, tools=replace(grounds.tools, deadlines=IMPATIENCE))
    rounds = deal_rounds()
    assert {behaviour.name for cases in rounds for behaviour, _, _ in cases} >= {each.name for each in ZOO[:40]}
    for cases in rounds[:WARM_UP]:
        await asyncio.gather(*[look(*case, hasty) for case in cases])
    await asyncio.sleep(0.1)
    hasty.tools.tls.seen.clear()  # it has a limit of its own
    memory, files, objects = read_memory_bytes(), count_open_files(), count_objects()
    for cases in rounds[WARM_UP:]:
        await asyncio.gather(*[look(*case, hasty) for case in cases])
    await asyncio.sleep(0.1)
    hasty.tools.tls.seen.clear()
    grown = read_memory_bytes() - memory
    assert count_open_files() <= files
    assert count_objects() - objects <= MOST_OBJECTS_GROWN
    assert grown <= MOST_BYTES_GROWN
