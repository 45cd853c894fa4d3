"""However many bad servers are met, memory and open files stay as they were."""

import asyncio
import json
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

from tests.fakes.zoo import ZOO

ROOT = Path(__file__).parents[2]

MOST_BYTES_GROWN = 3 * 512 * 1024
"""Of 160 rounds with 10 checks and as many servers each: 1 KB a check would be seen."""
MOST_OBJECTS_GROWN = 300


async def test_memory_and_open_files_are_flat_over_many_rounds() -> None:
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "tests.zoo.flat", cwd=ROOT, stdout=PIPE)
    said, _ = await process.communicate()
    assert process.returncode == 0
    left = json.loads(said)
    assert set(left["behaviours"]) >= {each.name for each in ZOO[:40]}
    assert left["files_grown"] <= 0
    assert left["objects_grown"] <= MOST_OBJECTS_GROWN
    assert left["bytes_grown"] <= MOST_BYTES_GROWN
    assert (left["tasks_left"], left["complaints"]) == (0, [])
