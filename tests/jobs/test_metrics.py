"""What each worker process tells Prometheus: its own work, at an address of its own, as it is when it is read."""

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from app.settings import PREFIX
from tests.fakes.counting import Counting
from tests.jobs.hands import box, boxes
from tests.real.line import Line, open_line, until
from tests.real.process import free_ports
from tests.store.ledger import Space


@pytest.fixture
def line(servers: Counting, database_url: str, redis_url: str, key_text: str) -> Iterator[Line]:
    settings = {
        "SECRET_KEYS": key_text,
        "ALLOW_PORTS": f"{servers.smtp_port},{servers.imap_port}",
        "CHECK_CONCURRENCY": "10",
    }
    with (
        tempfile.TemporaryDirectory(prefix="metrics-line-") as name,
        open_line(Path(name), database_url, redis_url, settings) as laid,
    ):
        yield laid


async def start_worker(line: Line, name: str, port: int) -> None:
    line.environ[f"{PREFIX}METRICS_ADDRESS"] = f"127.0.0.1:{port}"
    await line.start_worker(name)


async def read(port: int) -> dict[str, float]:
    """Return what a process tells, by the words of each line."""
    url = f"http://127.0.0.1:{port}/metrics"
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        assert answer.status == 200
        assert answer.content_type == "text/plain"
        text = await answer.text()
    assert "example.com" not in text
    return {words: float(value) for words, value in re.findall(r"^([^#\n]+) (\S+)$", text, flags=re.MULTILINE)}


def count_checks(told: dict[str, float], **labels: str) -> float:
    wanted = [f'{name}="{value}"' for name, value in labels.items()]
    return sum(
        value
        for words, value in told.items()
        if words.startswith("bulk_connect_checks_total{") and all(label in words for label in wanted)
    )


async def test_each_worker_tells_of_its_own_work(space: Space, servers: Counting, line: Line) -> None:
    first, second = free_ports(2)
    await start_worker(line, "first", first)
    request_id = await space.add([*(box(servers, number, "held") for number in range(1, 4)), box(servers, 4, "wrong")])

    async def are_held() -> bool:
        return (await read(first))["bulk_connect_checks_in_flight"] == 3

    await until(are_held)
    await start_worker(line, "second", second)
    assert (await read(second))["bulk_connect_checks_in_flight"] == 0
    servers.let_go.set()

    async def is_over() -> bool:
        return (await space.read(request_id)).counts.pending == 0

    await until(is_over)
    told, other = await read(first), await read(second)
    assert count_checks(told, protocol="smtp", code="ok") == 3
    assert count_checks(told, protocol="imap", code="ok") == 3
    assert count_checks(told, code="invalid_credentials", stage="auth") == 2
    assert count_checks(other) == 0
    assert told["bulk_connect_checks_in_flight"] == told["bulk_connect_records_held"] == 0
    assert told['bulk_connect_stage_seconds_count{protocol="smtp",stage="auth"}'] == 4


async def test_results_that_cannot_be_written_are_told(space: Space, servers: Counting, line: Line) -> None:
    (port,) = free_ports(1)
    await start_worker(line, "worker", port)
    request_id = await space.add([box(servers, 1, "held")])

    async def is_asked() -> bool:
        return servers.asked.total() == 2

    await until(is_asked)

    async def is_told() -> bool:
        return (await read(port))["bulk_connect_records_held"] == 1

    async with space.db.acquire() as link, link.transaction():
        await link.execute("SELECT FROM requests WHERE id = $1 FOR UPDATE", request_id)
        servers.let_go.set()
        await until(is_told)

    async def is_written() -> bool:
        return (await space.read(request_id)).counts.pending == 0 and not await is_told()

    await until(is_written)


async def test_a_worker_whose_port_is_taken_says_so_and_works(space: Space, servers: Counting, line: Line) -> None:
    (port,) = free_ports(1)
    await start_worker(line, "first", port)
    await start_worker(line, "second", port)
    assert "metrics.port_taken" in line.words("second")
    assert "metrics.port_taken" not in line.words("first")
    assert (await line.end("first"))[0] == 0
    request_id = await space.add(boxes(servers, 5))

    async def is_over() -> bool:
        return (await space.read(request_id)).counts.connected == 5

    await until(is_over)


async def test_whose_rows_come_next_can_be_seen(space: Space, servers: Counting, line: Line) -> None:
    (port,) = free_ports(1)
    await start_worker(line, "worker", port)
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{port}/debug/work") as answer,
    ):
        assert await answer.json() == {"requests": [], "checks": 0, "freeSlots": 10, "asking": []}
