"""Who sends or reads slowly holds no connection to PostgreSQL: others are served as if they were not there."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from uuid import UUID

import pytest

from tests.api.asking import CONNECT, STATUS, Service, row
from tests.real.line import until

CALLERS = 12
"""More than one process has connections to PostgreSQL."""
LINES = 20_000
SOON = 2.0


@contextlib.asynccontextmanager
async def calling(service: Service, head: str, count: int = CALLERS) -> AsyncIterator[list[socket.socket]]:
    """Begin so many calls, by callers who take in very little at a time."""
    loop = asyncio.get_running_loop()
    with contextlib.ExitStack() as stack:
        callers = [stack.enter_context(socket.socket()) for _ in range(count)]
        for caller in callers:
            caller.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            caller.setblocking(False)
            await loop.sock_connect(caller, (service.client.host, service.client.port))
            await loop.sock_sendall(caller, f"{head}Host: localhost\r\nx-api-key: {service.key}\r\n\r\n".encode())
        yield callers


async def assert_served(service: Service) -> None:
    async with asyncio.timeout(SOON):
        request_id = await service.connected(row("beside"))
        assert (await service.get(f"{STATUS}/{request_id}")).status == 200
    idle = (
        "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%' AND datname = current_database()"
    )
    assert await service.api.db.fetchval(idle) == 0


async def is_quiet(service: Service) -> bool:
    """Tell whether nothing is asked of PostgreSQL: all who read have more than they can take in."""
    latest = (
        "SELECT max(query_start) FROM pg_stat_activity WHERE datname = current_database()"
        " AND query NOT LIKE '%pg_stat_activity%'"
    )
    before = await service.api.db.fetchval(latest)
    await asyncio.sleep(0.3)
    return bool(before == await service.api.db.fetchval(latest))


async def test_those_who_send_slowly_stop_nobody(service: Service) -> None:
    head = f"POST {CONNECT} HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n"
    loop = asyncio.get_running_loop()
    async with calling(service, head) as callers:
        for caller in callers:
            await loop.sock_sendall(caller, b'[{"smtpEmailAddress":')
        await assert_served(service)


@pytest.fixture
async def long_report(service: Service) -> str:
    """Return a request whose report is longer than what lies in sockets on the way."""
    request_id = await service.connected(row("first"), *[row("long", smtpPort=0, note="x" * 400) for _ in range(2)])
    await service.api.db.execute(
        "INSERT INTO request_rows SELECT (jsonb_populate_record(r, jsonb_build_object('row', n))).*"
        " FROM request_rows r, generate_series(4, $2::integer) n WHERE r.request_id = $1 AND r.row = 2",
        UUID(request_id),
        LINES,
    )
    return request_id


async def test_those_who_read_slowly_stop_nobody(service: Service, long_report: str) -> None:
    loop = asyncio.get_running_loop()
    async with calling(service, f"GET {CONNECT}/{long_report}/report.csv HTTP/1.1\r\n") as callers:
        for caller in callers:
            assert (await loop.sock_recv(caller, 12)) == b"HTTP/1.1 200"
        await until(lambda: is_quiet(service))
        await assert_served(service)
        tasks = [task for task in asyncio.all_tasks() if "start" in repr(task) and "web_protocol" in repr(task)]
        assert len(tasks) >= CALLERS, "they are all being served still"
