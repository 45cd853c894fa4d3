"""The books balance whatever dies: a short run; `make chaos` plays longer ones."""

import asyncio
import sys

import pytest

from tests.layout.code import ROOT

SEEDS = (7,)


@pytest.mark.timeout(240)
@pytest.mark.parametrize("seed", SEEDS)
async def test_the_books_balance_after_trouble(seed: int) -> None:
    command = (sys.executable, "-m", "tests.chaos", "--seed", str(seed), "--rows", "600", "--seconds", "15")
    process = await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    words, _ = await process.communicate()
    told = words.decode(errors="replace")
    assert process.returncode == 0, told[-4000:]
    assert told.rstrip().endswith("the books balance")
