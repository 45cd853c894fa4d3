"""Whether the process lives and can serve, what it counts, and how it leaves."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

import aiohttp
import msgspec
import pytest

from app.api.context import Api
from app.api.main import serve
from app.seal import Keyring
from app.settings import Settings
from app.store.db import connect
from app.store.workspaces import insert_api_key, insert_workspace
from tests.api.asking import ALL_SCOPES, CONNECT, STATUS, Client, Service, ask, row, send_raw
from tests.real.line import is_answering, until
from tests.real.process import free_ports


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_health_needs_no_key_and_says_yes_and_nothing_else(running: tuple[Api, Client], path: str) -> None:
    answer = await ask(running[1], "GET", path)
    assert (answer.status, answer.json) == (200, {"status": "ok"})
    assert "RateLimit" not in answer.headers
    assert (await ask(running[1], "GET", f"{path}?probe=1")).status == 200


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/docs", "/openapi.json"])
async def test_what_needs_no_key_can_be_asked_for_its_head_alone(running: tuple[Api, Client], path: str) -> None:
    async with running[1].head(path) as response:
        assert (response.status, await response.read()) == (200, b"")


async def test_metrics_are_not_on_the_public_address(running: tuple[Api, Client], service: Service) -> None:
    answer = await service.get("/metrics")
    assert (answer.status, answer.problem) == (404, "no-such-path")


async def test_calls_are_counted_by_route_and_not_by_what_strangers_make_up(service: Service) -> None:
    await service.get(f"{STATUS}/nothing")
    await send_raw(service.client, b"BREW /coffee HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    text = service.api.metrics.render().decode()
    assert f'method="GET",route="{STATUS}/{{request_id}}",status="404"' in text
    assert "coffee" not in text
    assert "BREW" not in text


@dataclass(frozen=True)
class Process:
    """An API as a process runs it."""

    url: str
    metrics_url: str
    key: str
    serving: asyncio.Task[None]

    def session(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(self.url, headers={"x-api-key": self.key})


@pytest.fixture
async def process(settings: Settings) -> AsyncIterator[Process]:
    port, metrics_port = free_ports(2)
    mine = replace(settings, port=port, metrics_address=f"127.0.0.1:{metrics_port}")
    link = await connect(settings.database_url)
    workspace = await insert_workspace(link, "process", Keyring.from_texts(settings.secret_keys))
    key, _ = await insert_api_key(link, workspace.id, ALL_SCOPES)
    await link.close()
    running = asyncio.create_task(serve(mine))
    found = Process(f"http://127.0.0.1:{port}", f"http://127.0.0.1:{metrics_port}/metrics", key, running)
    try:
        await until(lambda: is_answering(f"{found.url}/readyz"))
        yield found
    finally:
        if not running.done():
            os.kill(os.getpid(), signal.SIGTERM)
        async with asyncio.timeout(30):
            await running
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().remove_signal_handler(number)


async def test_metrics_listen_on_an_address_of_their_own(process: Process) -> None:
    async with process.session() as session:
        async with session.post(CONNECT, json=[row()]) as answer:
            assert answer.status == 200
        async with session.get("/metrics") as answer:
            assert answer.status == 404
    async with aiohttp.ClientSession() as session, session.get(process.metrics_url) as answer:
        assert answer.status == 200
        text = await answer.text()
    assert f'bulk_connect_api_calls_total{{method="POST",route="{CONNECT}",status="200"}} 1.0' in text
    assert "bulk_connect_rows_accepted_total 1.0" in text
    assert process.key not in text


async def test_a_process_that_is_told_to_leave_lets_its_callers_finish(process: Process) -> None:
    async with process.session() as session:
        async with session.post(CONNECT, json=[row()]) as answer:
            location = answer.headers["Location"]
        waiting = asyncio.create_task(session.get(f"{location}?wait=60"))
        single = asyncio.create_task(session.post("/v1/email-accounts/smtp-imap/connect", json=row()))
        await asyncio.sleep(0.3)
        os.kill(os.getpid(), signal.SIGTERM)
        async with asyncio.timeout(10):
            waited, checked = await asyncio.gather(waiting, single)
            assert waited.status == 200
            assert checked.status == 202
            assert msgspec.json.decode(await checked.read())["payload"]["requestId"]
            async with session.get("/readyz") as answer:
                assert (answer.status, await answer.json()) == (503, {"status": "unavailable"})
    async with asyncio.timeout(20):
        await process.serving
    assert not await is_answering(f"{process.url}/healthz")
