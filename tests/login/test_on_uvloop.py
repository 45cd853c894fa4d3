"""What the service runs on: uvloop, which deals with sockets in its own way."""

import asyncio
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

ROOT = Path(__file__).parents[2]


async def test_sessions_are_taken_up_on_uvloop_as_well() -> None:
    files = [f"tests/login/test_{name}.py" for name in ("resuming_link", "resuming_records", "resumption")]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.real.on_uvloop", "-p", "no:cacheprovider", *files]
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=PIPE)
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()
