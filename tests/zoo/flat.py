"""I/O: 200 rounds of bad servers in a process of their own, and what they left behind, as one JSON line:
`{"behaviours", "bytes_grown", "files_grown", "objects_grown", "tasks_left", "complaints"}`.

Usage: python -m tests.zoo.flat
"""

import asyncio
import contextlib
import ctypes
import functools
import gc
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from app.codes import Code
from app.login.trace import Deadlines
from tests.fakes.behaviour import Behaviour, Scene
from tests.fakes.zoo import list_cases
from tests.zoo.keeper import look, open_ground

ROUNDS = 200
WARM_UP = 40
IN_A_ROUND = 10
IMPATIENCE = Deadlines(total=0.7, tls=0.5, greet=0.08, auth=0.08, select=0.08)
"""What comes of a round does not matter here, so it need not wait."""

MADE_OF = {"app", "asyncio", "_asyncio", "uvloop", "ssl", "_ssl", "OpenSSL", "socket", "_socket"}
MADE_OF |= {"aiosmtplib", "aioimaplib"}


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
    """Count what checks and connections are made of."""
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


async def run() -> dict[str, object]:
    """Meet them all, and measure from the forty-first round to the last."""
    complaints: list[str] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: complaints.append(str(context["message"])))
    rounds = deal_rounds()
    async with open_ground() as ground:
        hasty = replace(ground, tools=replace(ground.tools, deadlines=IMPATIENCE))

        async def meet(some: Sequence[Sequence[tuple[Behaviour, Scene, Code]]]) -> tuple[int, int, int]:
            for cases in some:
                await asyncio.gather(*[look(*case, hasty) for case in cases])
            await asyncio.sleep(0.1)
            hasty.tools.tls.seen.clear()  # it has a limit of its own
            hasty.tools.tls.known.forget()  # as that has, and each server here is a new one
            return read_memory_bytes(), count_open_files(), count_objects()

        before = await meet(rounds[:WARM_UP])
        after = await meet(rounds[WARM_UP:])
        tasks_left = len(asyncio.all_tasks()) - 1
    bytes_grown, files_grown, objects_grown = (now - then for now, then in zip(after, before, strict=True))
    return {
        "behaviours": sorted({behaviour.name for cases in rounds for behaviour, _, _ in cases}),
        "bytes_grown": bytes_grown,
        "files_grown": files_grown,
        "objects_grown": objects_grown,
        "tasks_left": tasks_left,
        "complaints": complaints,
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(run())) + "\n")
