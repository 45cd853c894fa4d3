"""PostgreSQL is away, for real: everything says so at once, and goes on when it is back."""

import signal
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from app import embedded
from app.seal import Keyring, new_key_text
from app.store.accounts import list_accounts
from app.store.db import Unavailable, connect, is_reachable, new_id, open_pool, transaction
from app.store.migrate import migrate
from app.store.workers import beat
from app.store.workspaces import insert_workspace, list_api_keys
from tests.real.servers import open_servers
from tests.store.ledger import Space, make_rows


@pytest.fixture(scope="module")
def servers() -> Iterator[embedded.Embedded]:
    """Yield servers of this file's own, which it may stop."""
    with open_servers() as started:
        yield started


@pytest.fixture(scope="module")
async def own_pool(servers: embedded.Embedded) -> AsyncIterator[Any]:
    await migrate(servers.database_url)
    opened = await open_pool(servers.database_url, most=5)
    yield opened
    opened.terminate()


async def test_a_server_that_died_is_unavailable_until_it_is_back(servers: embedded.Embedded, own_pool: Any) -> None:
    keyring = Keyring.from_texts([new_key_text()])
    space = Space(own_pool, keyring, await insert_workspace(own_pool, "space", keyring))
    request_id = await space.add(make_rows(2))
    worker = new_id()
    postgres = servers.servers[0].process
    async with own_pool.acquire() as held:
        postgres.send_signal(signal.SIGKILL)
        postgres.wait()
        started = time.monotonic()
        with pytest.raises(Unavailable):
            await Space(held, keyring, space.workspace).claim(request_id, worker)
        for _ in range(3):
            with pytest.raises(Unavailable):
                await list_accounts(own_pool, space.id)
            with pytest.raises(Unavailable):
                await space.add(make_rows(1))
            with pytest.raises(Unavailable):
                await beat(own_pool, worker, "host", 1, 1)
            with pytest.raises(Unavailable):
                async with transaction(own_pool):
                    pass
            assert not await is_reachable(own_pool)
        with pytest.raises(Unavailable):
            await connect(servers.database_url)
        with pytest.raises(Unavailable):
            await migrate(servers.database_url)
        assert time.monotonic() - started < 10
    assert servers.revive() == ""
    assert await is_reachable(own_pool)
    assert (await space.read(request_id)).counts.pending == 2
    assert len(await space.claim(request_id, worker)) == 2
    assert await list_api_keys(own_pool) == []


async def test_a_server_that_stops_politely_is_unavailable_too(servers: embedded.Embedded, own_pool: Any) -> None:
    assert await is_reachable(own_pool)
    postgres = servers.servers[0].process
    async with own_pool.acquire() as held:
        assert await held.fetchval("SELECT 1") == 1
        postgres.send_signal(signal.SIGINT)
        postgres.wait()
        with pytest.raises(Unavailable):
            await list_api_keys(held)
    assert servers.revive() == ""
    assert await list_api_keys(own_pool) == []


async def test_a_closed_pool_is_unavailable(servers: embedded.Embedded) -> None:
    closed = await open_pool(servers.database_url)
    await closed.close()
    with pytest.raises(Unavailable):
        await list_api_keys(closed)


async def test_a_pool_with_no_connection_left_is_unavailable(
    servers: embedded.Embedded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.store.db.ACQUIRE_SECONDS", 0.2)
    small = await open_pool(servers.database_url, most=1)
    async with small.acquire():
        with pytest.raises(Unavailable):
            await list_api_keys(small)
    assert await list_api_keys(small) == []
    await small.close()
