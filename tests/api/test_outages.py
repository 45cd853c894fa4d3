"""What the API says while PostgreSQL or Valkey is really stopped."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import UUID

import pytest
from yarl import URL

from app import embedded
from app.seal import new_key_text
from app.settings import Settings
from app.store.migrate import migrate
from jobs.write_report import write_report
from tests.api.asking import ACCOUNTS, CONNECT, STATUS, Service, ask, enter, row, serving
from tests.real.servers import open_servers


@pytest.fixture(scope="module")
def servers() -> Iterator[embedded.Embedded]:
    """Yield servers of this file's own, which its tests stop; they run again before the next."""
    with open_servers() as started:
        yield started


def stop(servers: embedded.Embedded, name: str) -> None:
    """Stop one of them, as its operator would."""
    server = next(server for server in servers.servers if server.name == name)
    server.process.send_signal(signal.SIGINT if name == "PostgreSQL" else signal.SIGTERM)
    server.process.wait(20)
    assert servers.died() == name


@pytest.fixture
async def alone(servers: embedded.Embedded, tmp_path: Path) -> AsyncIterator[Service]:
    """Yield the caller of a service on those servers."""
    await migrate(servers.database_url)
    settings = Settings(
        database_url=servers.database_url,
        redis_url=servers.redis_url,
        secret_keys=(new_key_text(),),
        data_dir=tmp_path,
        rate_limit=1000,
    )
    async with serving(settings) as running:
        yield await enter(*running)
    assert servers.revive() == ""


async def test_without_valkey_everything_is_served(servers: embedded.Embedded, alone: Service) -> None:
    before = await alone.get(CONNECT)
    stop(servers, "Valkey")
    began = time.monotonic()
    answer = await alone.connect(row("a"), row("b"))
    assert (answer.status, answer.payload["accepted"]) == (200, 2)
    path = f"{CONNECT}/{answer.payload['requestId']}"
    for place in (f"{STATUS}/{answer.payload['requestId']}", f"{path}/rows", f"{path}/report.csv", "/readyz", ACCOUNTS):
        assert (await alone.get(place)).status == 200
    cancelled = await alone.post(f"{path}/cancel")
    assert (cancelled.status, cancelled.payload["counts"]["cancelled"]) == (200, 2)
    assert time.monotonic() - began < 5
    assert "r=99" in before.headers["RateLimit"]
    assert "r=99" in cancelled.headers["RateLimit"]


async def test_without_valkey_calls_are_still_counted(servers: embedded.Embedded, alone: Service) -> None:
    stop(servers, "Valkey")
    alone.api.rates.most = 2
    statuses = [(await alone.get(CONNECT)).status for _ in range(7)]  # a minute may end in between
    assert 429 in statuses
    assert statuses[0] == 200


async def test_without_postgresql_nothing_is_promised(servers: embedded.Embedded, alone: Service) -> None:
    request_id = await alone.connected(row("a", smtpPort=0))
    await write_report(alone.api.db, alone.api.reports, UUID(request_id))
    link = URL((await alone.get(f"{STATUS}/{request_id}")).payload["reportURL"]).relative()
    stop(servers, "PostgreSQL")
    began = time.monotonic()
    answers = [await alone.connect(row()), await alone.post(f"{ACCOUNTS}/smtp-imap/connect", row())]
    answers += [await alone.get(path) for path in (CONNECT, f"{STATUS}/{request_id}", ACCOUNTS, "/v1/diagnoses")]
    for answer in answers:
        assert (answer.status, answer.problem) == (503, "unavailable")
        assert int(answer.headers["Retry-After"]) > 0
    assert time.monotonic() - began < 5
    assert (await ask(alone.client, "GET", "/readyz")).json == {"status": "unavailable"}
    assert (await ask(alone.client, "GET", "/readyz")).status == 503
    assert (await ask(alone.client, "GET", "/healthz")).status == 200
    assert (await ask(alone.client, "GET", str(link))).status == 200


async def test_who_waits_when_postgresql_goes_is_told(servers: embedded.Embedded, alone: Service) -> None:
    request_id = await alone.connected(row())
    waiting = asyncio.create_task(alone.get(f"{STATUS}/{request_id}?wait=1.5"))
    await asyncio.sleep(0.4)
    stop(servers, "PostgreSQL")
    assert (await waiting).status == 503


async def test_when_postgresql_is_back_so_is_the_service(servers: embedded.Embedded, alone: Service) -> None:
    request_id = await alone.connected(row())
    stop(servers, "PostgreSQL")
    assert (await alone.get(CONNECT)).status == 503
    assert servers.revive() == ""
    assert (await alone.get(f"{STATUS}/{request_id}")).payload["counts"]["pending"] == 1
    assert (await alone.connect(row())).status == 200
    assert (await ask(alone.client, "GET", "/readyz")).status == 200


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="children are found as Linux lists them")
async def test_a_postgresql_that_hangs_is_not_waited_for_long(
    servers: embedded.Embedded, alone: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when its disk stalls, or the network loses every packet: connections stand, and nothing comes."""
    monkeypatch.setattr("app.api.guard.KEY_SECONDS", 1.0)
    await asyncio.gather(*[alone.connect(row(f"warm{number}")) for number in range(9)])
    postmaster = servers.servers[0].process.pid
    children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
    everyone = [postmaster, *map(int, children)]
    for pid in everyone:
        os.kill(pid, signal.SIGSTOP)
    try:
        began = time.monotonic()
        answers = await asyncio.gather(*[alone.connect(row(f"hung{number}")) for number in range(5)])
        assert [(answer.status, answer.problem) for answer in answers] == [(503, "unavailable")] * 5
        assert all(int(answer.headers["Retry-After"]) > 0 for answer in answers)
        assert (await ask(alone.client, "GET", "/readyz")).status == 503
        assert time.monotonic() - began < 6
    finally:
        for pid in everyone:
            os.kill(pid, signal.SIGCONT)
    assert (await alone.connect(row("after"))).status == 200
    assert (await alone.get(CONNECT)).payload["total"] == 10


async def test_a_process_that_starts_without_valkey_serves(servers: embedded.Embedded, alone: Service) -> None:
    stop(servers, "Valkey")
    async with serving(alone.api.settings) as (api, client):
        later = Service(api, client, alone.workspace_id, alone.key)
        assert (await later.connect(row())).status == 200
        assert '"key";r=99' in (await later.get(CONNECT)).headers["RateLimit"]
