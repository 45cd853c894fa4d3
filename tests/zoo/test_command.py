"""`make zoo` on the loop that the service runs on: every server of the table, many at a time, and no complaint."""

import asyncio
import re
import sys
from pathlib import Path

from tests.fakes.zoo import list_cases

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"^.+?  +(smtp|imap) +(none|ssl|starttls) +[a-z_]+ +\d+$", re.MULTILINE)


async def run_zoo(*options: str) -> tuple[int | None, str, str]:
    """Run the command as a program of its own; return how it ended and what it said."""
    words = [sys.executable, "-W", "error", "-m", "tests.zoo", *options]
    pipe = asyncio.subprocess.PIPE
    program = await asyncio.create_subprocess_exec(*words, cwd=ROOT, stdout=pipe, stderr=pipe)
    said, complained = await program.communicate()
    return program.returncode, said.decode(), complained.decode()


async def test_whole_zoo_behaves_on_uvloop() -> None:
    code, said, complained = await run_zoo("--uvloop")
    assert (code, complained) == (0, ""), said + complained
    assert len(ROW.findall(said)) == len(list(list_cases()))
    assert ", 0 wrong, " in said


async def test_part_of_the_zoo_can_be_asked_for() -> None:
    code, said, _ = await run_zoo("--only", "strips STARTTLS")
    rows = ROW.findall(said)
    assert code == 0
    assert rows == [("smtp", "starttls"), ("imap", "starttls")]
    assert said.count("starttls_unsupported") == 2
