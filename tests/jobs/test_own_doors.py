"""No row makes a worker knock at the doors of the service itself, however much the operator has opened."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from app.model import Encryption, Side
from tests.fakes.counting import Counting
from tests.jobs.hands import box, codes_of
from tests.real.line import open_line, until
from tests.real.process import free_ports
from tests.store.ledger import Space, make_row


@pytest.fixture
async def api_door() -> AsyncIterator[tuple[int, list[str]]]:
    """Listen where the API would; yield the port and who came."""
    came: list[str] = []

    def greet(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.append(str(writer.get_extra_info("peername")))
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    yield int(server.sockets[0].getsockname()[1]), came
    server.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "localhost"])
async def test_rows_that_name_the_service_itself_are_not_dialled(
    space: Space,
    servers: Counting,
    database_url: str,
    redis_url: str,
    key_text: str,
    api_door: tuple[int, list[str]],
    host: str,
) -> None:
    (api_port, came), (metrics_port,) = api_door, free_ports(1)
    given: dict[str, Any] = {
        "SECRET_KEYS": key_text,
        "HOST": host,
        "PORT": api_port,
        "METRICS_ADDRESS": f"{host}:{metrics_port}",
        "ALLOW_PORTS": f"{api_port},{metrics_port},{servers.smtp_port},{servers.imap_port}",
    }
    smtp, imap = (
        Side(True, "a@example.com", "a@example.com", "127.0.0.1", port, Encryption.NONE)
        for port in (api_port, metrics_port)
    )
    rows = [make_row(1, smtp=smtp, imap=imap), box(servers, 2)]
    with (
        tempfile.TemporaryDirectory(prefix="doors-") as name,
        open_line(Path(name), database_url, redis_url, {key: str(value) for key, value in given.items()}) as line,
    ):
        await line.start_worker("worker")
        request_id: UUID = await space.add(rows)

        async def is_over() -> bool:
            return (await space.read(request_id)).counts.pending == 0

        await until(is_over)
    assert await codes_of(space, request_id) == ("failed", "address_not_allowed", "address_not_allowed")
    assert await codes_of(space, request_id, 2) == ("connected", "ok", "ok")
    assert came == []
