"""Five thousand checks in flight in one process hold little memory and no file too many, and never hold the loop."""

import asyncio
import contextlib
import json
import resource
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.real.certificates import Authority

IN_FLIGHT = 5_000
ROOT = Path(__file__).parents[2]


@contextlib.asynccontextmanager
async def start(module: str, *arguments: object) -> AsyncIterator[Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, *map(str, arguments), cwd=ROOT, stdin=PIPE, stdout=PIPE
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def read_answer(process: Process) -> Any:
    assert process.stdout is not None
    return json.loads(await process.stdout.readline())


async def test_five_thousand_checks_in_flight(tmp_path: Path) -> None:
    _, most_files = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most_files != resource.RLIM_INFINITY and most_files < IN_FLIGHT + 200:
        pytest.skip(f"this machine lets a process open {most_files} files only")
    authority = Authority(tmp_path)
    pair = authority.issue("host")
    async with start("tests.login.slow_server", pair.certificate, pair.key, IN_FLIGHT) as server:
        ports = await read_answer(server)
        async with start("tests.login.thousands", authority.ca_file, *ports, IN_FLIGHT) as checks:
            figures = await read_answer(checks)
    assert figures["ok"] == IN_FLIGHT
    assert figures["kilobytes_each"] < 100
    assert figures["files_left"] <= 0
    assert figures["longest_stall_seconds"] < 0.2, figures
