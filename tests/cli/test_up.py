"""`up`: one command is the whole service, its data outlive every end, and there is one of it on a folder."""

import asyncio
import contextlib
import csv
import io
import os
import shutil
import subprocess
import sys
import tempfile
import time
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from app import embedded
from app.settings import PREFIX, UNPREFIXED
from tests.real.line import is_answering, until
from tests.real.process import free_ports

ROOT = Path(__file__).parents[2]
CONNECT = "/v1/email-accounts/connect"
STOP_SECONDS = 20.0
ACCOUNTS = [
    {"smtpEmailAddress": "sales@example.com", "smtpPassword": "x", "smtpHost": "127.0.0.1", "imapHost": "127.0.0.1"},
    {"smtpEmailAddress": "info@example.com", "smtpPassword": "x", "smtpHost": "127.0.0.1", "smtpPort": 99999},
]


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    above = Path(tempfile.mkdtemp(prefix="up-"))
    yield above / "data"
    shutil.rmtree(above)


def environ() -> dict[str, str]:
    foreign = {name: text for name, text in os.environ.items() if not name.startswith(PREFIX)}
    foreign |= dict.fromkeys(UNPREFIXED, "")
    return foreign | {f"{PREFIX}METRICS_ADDRESS": "127.0.0.1:0"}


def command(folder: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "app", *arguments, "--data-dir", str(folder)]


@contextlib.asynccontextmanager
async def up(folder: Path) -> AsyncIterator[tuple[Process, str]]:
    """Run the service until it is told to end. Yields its process and its address."""
    (port,) = free_ports(1)
    with folder.with_name("up.log").open("ab") as words:
        program = command(folder, "up", "--port", str(port), "--workers", "1")
        process = await asyncio.create_subprocess_exec(*program, cwd=ROOT, env=environ(), stdout=words, stderr=words)
    try:
        await until(lambda: is_answering(f"http://127.0.0.1:{port}/readyz"))
        yield process, f"http://127.0.0.1:{port}"
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()


async def run(folder: Path, *arguments: str) -> tuple[int | None, str, str]:
    """Run another command on the same folder. Returns its exit code and its words."""
    process = await asyncio.create_subprocess_exec(
        *command(folder, *arguments), cwd=ROOT, env=environ(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


async def finish(session: aiohttp.ClientSession, url: str, request_id: str, headers: dict[str, str]) -> dict[str, Any]:
    """Poll until a request is completed. Returns its status."""
    ends_at = time.monotonic() + 30
    while True:
        async with session.get(f"{url}{CONNECT}/status/{request_id}", headers=headers) as answer:
            status: dict[str, Any] = (await answer.json())["payload"]
        if status["isCompleted"]:
            return status
        assert time.monotonic() < ends_at, status
        await asyncio.sleep(0.1)


async def open_report(session: aiohttp.ClientSession, link: str) -> list[tuple[str, str]]:
    """Open a report with no key. Returns address and outcome of each row."""
    async with session.get(link) as answer:
        assert (answer.status, answer.content_type) == (200, "text/csv")
        lines = csv.DictReader(io.StringIO(await answer.text()))
    return [(line["emailAddress"], line["outcome"]) for line in lines]


async def test_it_serves_the_documented_calls_and_outlives_a_sigkill(folder: Path) -> None:
    outcomes = [("sales@example.com", "failed"), ("info@example.com", "invalid")]
    async with aiohttp.ClientSession() as session:
        async with up(folder) as (process, url):
            code, key, _ = await run(folder, "keys", "create", "--workspace", "acme")
            assert code == 0
            bearer, plain = {"Authorization": f"Bearer {key.strip()}"}, {"x-api-key": key.strip()}
            async with session.post(f"{url}{CONNECT}", json=ACCOUNTS, headers=bearer) as answer:
                assert answer.status == 200
                body = await answer.json()
            assert set(body) == {"message", "payload"}
            request_id = body["payload"]["requestId"]
            status = await finish(session, url, request_id, plain)
            assert await open_report(session, status["reportURL"]) == outcomes
            process.kill()
            await process.wait()
        async with up(folder) as (process, url):
            status = await finish(session, url, request_id, plain)
            assert await open_report(session, status["reportURL"]) == outcomes
            started = time.monotonic()
            process.terminate()
            assert await process.wait() == 0
            assert time.monotonic() - started < STOP_SECONDS
            assert not await is_answering(f"{url}/healthz")
    assert embedded.attach(folder) is None


async def test_a_second_one_on_the_same_folder_is_refused_in_one_line(folder: Path) -> None:
    async with up(folder) as (_, url):
        code, out, err = await run(folder, "up", "--port", "0")
        words = f"bulk-connect: {folder} is in use by another bulk-connect; stop it, or use --data-dir\n"
        assert (code, out, err) == (1, "", words)
        assert await is_answering(f"{url}/readyz")
