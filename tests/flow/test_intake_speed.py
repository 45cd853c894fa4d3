"""Ten thousand rows are taken in within a second, by a process that stays small."""

import os
import re
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.flow.caller import CONNECT, Caller
from tests.flow.figures import note
from tests.real.line import Line, open_line

ROWS = 10_000
MOST_SECONDS = 1.0
MOST_MEGABYTES = 300
TRIES = 3


def make_rows(count: int) -> list[dict[str, Any]]:
    return [
        {
            "fromFirstName": "Sales",
            "fromLastName": f"Office {number}",
            "smtpEmailAddress": f"box{number}@domain{number % 500}.example.com",
            "smtpUserName": f"box{number}@domain{number % 500}.example.com",
            "smtpPassword": f"password of {number}",
            "smtpHost": f"smtp.domain{number % 500}.example.com",
            "smtpPort": 587,
            "smtpEncryption": "tls",
            "imapEmailAddress": f"box{number}@domain{number % 500}.example.com",
            "imapUserName": f"box{number}@domain{number % 500}.example.com",
            "imapPassword": f"password of {number}",
            "imapHost": f"imap.domain{number % 500}.example.com",
            "imapPort": 993,
            "imapEncryption": "ssl",
        }
        for number in range(count)
    ]


@pytest.fixture(scope="module")
async def line(database_url: str, redis_url: str) -> AsyncIterator[Line]:
    """Lay a line without workers: nothing is dialled."""
    with (
        tempfile.TemporaryDirectory(prefix="flow-intake-") as name,
        open_line(Path(name), database_url, redis_url, {"LOG_LEVEL": "INFO"}) as laid,
    ):
        await laid.start_api()
        yield laid


def peak_megabytes(pid: int) -> float:
    """Return the most memory that a process ever had in use."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found.group(1)) / 1024


async def test_ten_thousand_rows_are_answered_within_a_second_and_300_megabytes(line: Line) -> None:
    key = await line.make_key()
    rows = make_rows(ROWS)
    seconds = []
    async with aiohttp.ClientSession(headers={"x-api-key": key}) as session:
        caller = Caller(line.url, session)
        for _ in range(TRIES):
            started = time.monotonic()
            accepted = await caller.post(rows)
            seconds.append(time.monotonic() - started)
            assert accepted["accepted"] == ROWS
            status = await caller.status(accepted["requestId"])
            assert status["counts"]["pending"] == ROWS
            async with session.post(f"{line.url}{CONNECT}/{accepted['requestId']}/cancel") as answer:
                assert answer.status == 200
    megabytes = peak_megabytes(line.processes["api"].pid)
    note(f"{ROWS} rows answered in {', '.join(f'{each:.2f}' for each in seconds)} s; peak {megabytes:.0f} MB")
    assert megabytes < MOST_MEGABYTES
    # The best of a few tells what the service can do; where others keep every core busy, each takes its share.
    share = max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
    is_slowed = "COVERAGE_PROCESS_CONFIG" in os.environ  # every line of the process is being counted
    assert is_slowed or min(seconds) < MOST_SECONDS * share
