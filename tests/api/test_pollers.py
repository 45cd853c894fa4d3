"""Two hundred who wait for one request, at an API process as it really runs, cost little, even while rows end."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.api.asking import CONNECT, STATUS, row
from tests.real.line import Line, open_line

POLLERS = 200
MOST_SHARE = 0.05
"""Of one core."""
SECONDS = 14.0


@pytest.fixture
async def line(database_url: str, redis_url: str, tmp_path: Path) -> AsyncIterator[Line]:
    with open_line(tmp_path, database_url, redis_url, {"RATE_LIMIT": "100000", "LOG_LEVEL": "INFO"}) as laid:
        await laid.start_api()
        yield laid


def read_cpu_seconds(pid: int) -> float:
    """Return the time that a process has had of any core (proc(5), stat, fields 14 and 15)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / float(os.sysconf("SC_CLK_TCK"))


async def end_rows(pool: Any, seconds: float) -> None:
    """Let a request look as if a row ended ten times a second."""
    ends_at = time.monotonic() + seconds
    while time.monotonic() < ends_at:
        await pool.execute("UPDATE requests SET state = 'processing', version = version + 1")
        await asyncio.sleep(0.1)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="the time of a process is read as Linux tells it")
async def test_many_pollers_cost_less_than_a_twentieth_of_a_core(line: Line, pool: Any) -> None:
    headers = {"x-api-key": await line.make_key("pollers")}
    connector, timeout = aiohttp.TCPConnector(limit=0), aiohttp.ClientTimeout(total=60)
    answers: list[tuple[str, float]] = []
    async with aiohttp.ClientSession(line.url, headers=headers, connector=connector, timeout=timeout) as session:
        async with session.post(CONNECT, json=[row(f"box{number}") for number in range(100)]) as answer:
            path = f"{STATUS}/{(await answer.json())['payload']['requestId']}"

        async def poll() -> None:
            status = ""
            while status != "completed_with_errors":
                async with session.get(path, params={"wait": "30"}) as answer:
                    status = (await answer.json())["payload"]["status"]
                    answers.append((status, time.monotonic()))

        pollers = [asyncio.create_task(poll()) for _ in range(POLLERS)]
        await end_rows(pool, 4)
        answers.clear()
        began, spent = time.monotonic(), read_cpu_seconds(line.processes["api"].pid)
        await end_rows(pool, SECONDS)
        share = (read_cpu_seconds(line.processes["api"].pid) - spent) / (time.monotonic() - began)
        assert len(answers) > POLLERS / 4, "they hear of what happens"
        assert share < MOST_SHARE
        ended_at = time.monotonic()
        await pool.execute(
            "UPDATE requests SET state = 'done', version = version + 1, closed_at = now(), finished_at = now(),"
            " pending_count = 0, failed_count = total_count,"
            " report_path = 'x', report_sha256 = '\\x00', report_row_count = 100"
        )
        await asyncio.gather(*pollers)
        assert max(at for _, at in answers) - ended_at < 3, "of the end they hear at once"
