"""API and workers are replaced one by one in the middle of five thousand rows: nothing is lost, nothing done twice."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.fakes.counting import Counting, count_logins
from tests.flow.caller import CONNECT, Caller
from tests.flow.figures import note
from tests.real.line import Line, is_answering, open_line

ROWS = 5000
HOSTS = 60
STOP_SECONDS = 20.0

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
async def servers() -> AsyncIterator[Counting]:
    async with count_logins(0.3, HOSTS) as book:
        yield book


@pytest.fixture
def settings(servers: Counting) -> dict[str, str]:
    return {
        "ALLOW_PORTS": f"{servers.smtp_port},{servers.imap_port}",
        "CHECK_CONCURRENCY": "100",
        "LOG_LEVEL": "INFO",
        "RATE_LIMIT": "100000",
    }


@pytest.fixture
async def old(settings: dict[str, str], database_url: str, redis_url: str) -> AsyncIterator[Line]:
    with (
        tempfile.TemporaryDirectory(prefix="old-") as name,
        open_line(Path(name), database_url, redis_url, settings) as laid,
    ):
        await laid.start_api()
        await laid.start_worker("one")
        await laid.start_worker("two")
        yield laid


@pytest.fixture
async def new(old: Line, settings: dict[str, str], database_url: str, redis_url: str) -> AsyncIterator[Line]:
    """Lay the line that takes over: another port, the same keys and the same reports."""
    shared = {
        "SECRET_KEYS": old.environ["BULK_CONNECT_SECRET_KEYS"],
        "REPORT_STORE": (old.folder / "reports").as_uri(),
    }
    with (
        tempfile.TemporaryDirectory(prefix="new-") as name,
        open_line(Path(name), database_url, redis_url, settings | shared) as laid,
    ):
        yield laid


def make_rows(servers: Counting) -> list[dict[str, Any]]:
    """Return rows of which every seventeenth has a wrong password."""
    return [
        {
            "smtpEmailAddress": f"{'wrong' if number % 17 == 0 else 'good'}-{number}@example.com",
            "smtpPassword": "right horse",
            "smtpHost": servers.hosts[number % HOSTS],
            "smtpPort": servers.smtp_port,
            "smtpEncryption": "none",
            "imapHost": servers.hosts[number % HOSTS],
            "imapPort": servers.imap_port,
            "imapEncryption": "none",
        }
        for number in range(1, ROWS + 1)
    ]


async def end_in_time(line: Line, name: str) -> None:
    code, seconds = await line.end(name)
    assert (code, seconds < STOP_SECONDS) == (0, True)
    note(f"{name} told to stop in the middle of {ROWS} rows: gone after {seconds:.1f} s")


async def leave_the_api(old: Line, caller: Caller, request_id: str) -> None:
    """SIGTERM: who waits is answered, and who asks is told to go elsewhere before nobody listens any more."""
    waiting = asyncio.create_task(caller.get(f"{CONNECT}/status/{request_id}?wait=60"))
    await asyncio.sleep(0.3)
    ending = asyncio.create_task(end_in_time(old, "api"))
    unready = False
    while not unready:
        async with caller.session.get(f"{old.url}/readyz") as answer:
            unready = answer.status == 503
    async with caller.session.get(f"{old.url}{CONNECT}/status/{request_id}") as answer:
        assert answer.status == 200
    assert (await waiting)["payload"]["requestId"] == request_id
    await ending


async def test_a_rolling_restart_loses_nothing_and_repeats_nothing(old: Line, new: Line, servers: Counting) -> None:
    headers = {"x-api-key": await old.make_key("rolling")}
    async with aiohttp.ClientSession(headers=headers) as session:
        request_id = (await Caller(old.url, session).post(make_rows(servers)))["requestId"]
        await Caller(old.url, session).wait_for_share(request_id, 0.1, 60)
        await new.start_api()
        await leave_the_api(old, Caller(old.url, session), request_id)
        assert not await is_answering(f"{old.url}/healthz")
        caller = Caller(new.url, session)
        for ours, theirs, share in (("three", "one", 0.3), ("four", "two", 0.5)):
            await caller.wait_for_share(request_id, share, 60)
            await new.start_worker(ours)
            await end_in_time(old, theirs)
        status = await caller.wait(request_id, 120)
        counts = status["counts"]
        assert (counts["connected"], counts["failed"]) == (ROWS - ROWS // 17, ROWS // 17)
        lines = await caller.open_report(status["reportURL"])
    assert len(lines) == ROWS
    assert len(servers.asked) == ROWS
    assert set(servers.asked.values()) == {2}  # one login for each protocol
