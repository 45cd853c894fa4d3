"""I/O: the zoo from the command line: every bad server, each in every way, and what a check of it comes to.

Usage: python -m tests.zoo [--uvloop] [--only WORDS]
"""

import argparse
import asyncio
import sys
import time

import click
import uvloop

from app.codes import Code
from tests.fakes.behaviour import Behaviour, Scene
from tests.fakes.zoo import list_cases
from tests.zoo.faults import list_faults
from tests.zoo.keeper import Ground, Sight, look, open_ground

AT_ONCE = 16


async def look_at_all(words: str) -> list[Sight]:
    """Look at every server whose name holds `words`, a few dozen at a time; in the order of the table."""
    turns = asyncio.Semaphore(AT_ONCE)

    async def wait_and_look(behaviour: Behaviour, scene: Scene, code: Code, ground: Ground) -> Sight:
        async with turns:
            return await look(behaviour, scene, code, ground)

    async with open_ground() as ground:
        cases = [case for case in list_cases() if words in case[0].name]
        return await asyncio.gather(*[wait_and_look(*case, ground) for case in cases])


def print_table(sights: list[Sight]) -> int:
    """Print a line for each look. Returns how many came to something else than they must."""
    width = max((len(sight.behaviour.name) for sight in sights), default=9)
    click.echo(f"{'behaviour':{width}}  protocol  encryption  {'code':26}  {'ms':>5}")
    wrong_count = 0
    for sight in sights:
        scene, faults = sight.scene, list_faults(sight)
        wrong_count += bool(faults)
        note = f"  WRONG: {'; '.join(faults)}" if faults else ""
        click.echo(
            f"{sight.behaviour.name:{width}}  {scene.protocol:8}  {scene.encryption:10}  "
            f"{sight.diagnosis.code:26}  {sight.seconds * 1000:5.0f}{note}"
        )
    return wrong_count


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.zoo")
    parser.add_argument("--uvloop", action="store_true", help="run on uvloop")
    parser.add_argument("--only", default="", metavar="WORDS", help="only the servers whose names hold this")
    options = parser.parse_args()
    began = time.monotonic()
    work = look_at_all(options.only)
    sights = uvloop.run(work) if options.uvloop else asyncio.run(work)
    wrong_count = print_table(sights)
    names = {sight.behaviour.name for sight in sights}
    click.echo(
        f"\n{len(names)} behaviours, {len(sights)} checks, {wrong_count} wrong, {time.monotonic() - began:.1f} s"
    )
    return 1 if wrong_count else 0


if __name__ == "__main__":
    sys.exit(main())
