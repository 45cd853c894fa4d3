"""A host that is cut off in the middle costs time and nothing else: three hosts in network namespaces."""

import asyncio
import sys

import pytest

from tests.chaos.cut_off import CANNOT
from tests.layout.code import ROOT


@pytest.mark.timeout(240)
async def test_the_books_balance_after_a_host_was_cut_off() -> None:
    command = (sys.executable, "-m", "tests.chaos.cut_off", "--rows", "400")
    process = await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    words, _ = await process.communicate()
    told = words.decode(errors="replace")
    if process.returncode == CANNOT:
        pytest.skip(told.strip().splitlines()[-1])
    assert process.returncode == 0, told[-4000:]
    assert told.rstrip().endswith("the books balance")
