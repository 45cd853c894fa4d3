"""I/O: the benchmarks: what a check costs, what the ledger costs, whether waiting is free. Bounded; ends by itself.

Usage: python -m tests.bench [checks] [ledger] [memory] [waiting] [workers]; all of them unless some are named
"""

import asyncio
import os
import platform
import sys
from collections.abc import Awaitable, Callable

from tests.bench import checks, ledger, memory, waiting
from tests.real.process import UnavailableError

MAILBOXES = 2000
ROUNDS = 3
ROWS = (1_000, 10_000, 100_000)
IN_FLIGHT = 1_000
WORKER_SLOTS = 50


def say(text: str = "") -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


async def run_checks() -> None:
    say(f"{MAILBOXES} mailboxes over TLS against Dovecot and Postfix, medians of {ROUNDS} rounds:")
    try:
        for line in checks.render(await checks.compare(MAILBOXES, ROUNDS)):
            say(line)
    except UnavailableError as reason:
        say(f"left out: {reason}")


async def run_ledger() -> None:
    say(f"The ledger, with rows that end without a dial, medians of {ROUNDS} rounds:")
    for line in await ledger.measure(ROWS, ROUNDS):
        say(line)


async def run_waiting() -> None:
    slots = IN_FLIGHT // 2  # a row is two checks
    ideal = slots / waiting.seconds_of_one_check()
    for words, with_silence in (("all hosts answer", False), ("one host of ten is silent", True)):
        rate, _ = await waiting.measure(slots, 1, 12 * slots, with_silence=with_silence)
        share = f"{rate:.0f} rows a second, {rate / ideal:.0%} of the ideal"
        say(f"{IN_FLIGHT} checks in flight in one process, {words}: {share}")


async def run_memory() -> None:
    for line in await memory.measure(IN_FLIGHT):
        say(line)


async def run_workers() -> None:
    base = 0.0
    for workers in (1, 2, 4):
        # Few enough that waiting, and not this machine's cores, is what they are bound by.
        rate, _ = await waiting.measure(WORKER_SLOTS, workers, 8 * WORKER_SLOTS * workers)
        base = base or rate
        say(f"{workers} workers of {WORKER_SLOTS} slots: {rate:.0f} a second, {rate / base:.2f} x one")


PARTS: dict[str, Callable[[], Awaitable[None]]] = {
    "checks": run_checks,
    "ledger": run_ledger,
    "memory": run_memory,
    "waiting": run_waiting,
    "workers": run_workers,
}


async def main(names: list[str]) -> None:
    say(f"Python {platform.python_version()}, {os.cpu_count()} cores")
    for name in names or list(PARTS):
        say()
        await PARTS[name]()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
