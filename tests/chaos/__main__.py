"""I/O: the chaos run: rows by the thousand while processes and servers die; in the end the books must balance.

Usage: python -m tests.chaos [--seed N] [--rows N] [--seconds N]
"""

import argparse
import asyncio
import random
import sys
import tempfile
import time
from pathlib import Path

from tests.chaos.books import audit, audit_counts, audit_report
from tests.chaos.caller import CONNECT, name_mailboxes, post, read_rows, say, settle
from tests.chaos.leftovers import find_leftovers, find_lock
from tests.chaos.search import find_processes, find_secrets
from tests.chaos.stage import Stage, set_stage
from tests.chaos.trouble import TROUBLES

SMALL_ROWS = 3


async def make_trouble(stage: Stage, dice: random.Random, ends_at: float) -> None:
    while time.monotonic() < ends_at:
        await asyncio.sleep(dice.uniform(0.3, 3.0))
        told = await dice.choice(TROUBLES)(stage, dice)
        if told:
            say(told)


async def post_small(stage: Stage, dice: random.Random, ends_at: float) -> dict[str, list[str]]:
    """Post small requests all the while, each under a key of its own, twice."""
    made: dict[str, list[str]] = {}
    number = 0
    while time.monotonic() < ends_at:
        number += 1
        names = name_mailboxes(SMALL_ROWS, f"small{number}", dice)
        first = await post(stage, names, f"small-{number}")
        again = await post(stage, names, f"small-{number}")
        if first != again:
            raise RuntimeError(f"one Idempotency-Key made two requests: {first}, {again}")
        made[first] = names
        await asyncio.sleep(1)
    return made


async def run(seed: int, row_count: int, seconds: float) -> list[str]:
    """Play it through. Returns what is wrong."""
    dice = random.Random(seed)
    wrong: list[str] = []
    with tempfile.TemporaryDirectory(prefix="bulk-connect-chaos-") as name:
        async with set_stage(Path(name), say) as stage:
            names = name_mailboxes(row_count, "main", dice)
            began = time.monotonic()
            main_id = await post(stage, names, "main")
            ends_at = time.monotonic() + seconds
            _, small = await asyncio.gather(make_trouble(stage, dice, ends_at), post_small(stage, dice, ends_at))
            say(f"no more trouble; {len(small)} small requests were posted meanwhile")
            texts = {}
            attempts: dict[int, int] = {}
            for request_id in [main_id, *small]:
                status = await settle(stage, request_id, 120)
                rows = await read_rows(stage, request_id)
                _, text = await stage.call("GET", status["reportURL"].removeprefix(stage.service.base_url))
                wrong += audit(rows, stage.mail.logins)
                wrong += audit_counts(status["counts"], rows) + audit_report(rows, text)
                texts[f"the report of {request_id}"] = text
                for row in rows:
                    attempts[row.attempts] = attempts.get(row.attempts, 0) + 1
            _, listed = await stage.call("GET", f"{CONNECT}?limit=1000")
            if listed["payload"]["total"] != len(small) + 1:
                wrong.append(f"{listed['payload']['total']} requests were made of {len(small) + 1} posted")
            wrong += await find_secrets(stage, texts)
            wrong += await find_leftovers(stage, 30)
            said = ", ".join(f"{count} rows in {number}" for number, count in sorted(attempts.items()))
            say(f"all completed after {time.monotonic() - began:.0f} s; attempts: {said}")
            mark = stage.mark
        wrong += find_lock(stage.folder / "data")
        left = find_processes(mark)
        wrong += [f"process {pid} was left behind" for pid in left]
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(prog="chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--rows", type=int, default=4000)
    parser.add_argument("--seconds", type=float, default=60)
    given = parser.parse_args()
    say(f"seed {given.seed}, {given.rows} rows, {given.seconds:g} s of trouble")
    wrong = asyncio.run(run(given.seed, given.rows, given.seconds))
    for line in wrong[:50]:
        say(f"WRONG: {line}")
    say(f"the books do not balance: {len(wrong)} faults" if wrong else "the books balance")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
