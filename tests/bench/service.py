"""I/O: the whole service for a benchmark: PostgreSQL, Valkey, API and workers, kept to the client's core."""

import asyncio
import contextlib
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from app import embedded
from app.store.migrate import migrate
from tests.bench.house import CLIENT_CORE, pinned
from tests.bench.measure import Cost, read_cost, reset_peaks
from tests.real.line import Line, open_line

CONNECT = "/v1/email-accounts/connect"
Json = dict[str, Any]


@dataclass
class Bench:
    """A running service and the one who calls it."""

    line: Line
    ground: embedded.Embedded
    session: aiohttp.ClientSession

    def pids(self) -> list[int]:
        """Return every process that the service consists of."""
        servers = [server.process.pid for server in self.ground.servers]
        return servers + [process.pid for process in self.line.processes.values()]

    def cost(self) -> Cost:
        return read_cost(self.pids())

    def peak_mb(self) -> float:
        """Return the most memory that API and workers held; PostgreSQL's is shared, and would be counted many times."""
        return read_cost(process.pid for process in self.line.processes.values()).peak_mb

    def reset_peaks(self) -> None:
        reset_peaks(self.pids())

    async def post(self, rows: list[Json], query: str = "") -> tuple[str, float]:
        """POST rows. Returns the request's id and the seconds until the answer."""
        body = msgspec.json.encode(rows)
        kind = {"Content-Type": "application/json"}
        started = time.perf_counter()
        async with self.session.post(f"{self.line.url}{CONNECT}{query}", data=body, headers=kind) as answer:
            found = await answer.json()
            assert answer.status == 200, found
        return found["payload"]["requestId"], time.perf_counter() - started

    async def status(self, request_id: str) -> Json:
        async with self.session.get(f"{self.line.url}{CONNECT}/status/{request_id}") as answer:
            payload: Json = (await answer.json())["payload"]
            return payload

    async def wait_for(self, request_id: str, connected: int, seconds: float = 300.0) -> Json:
        """Wait until so many rows are connected."""
        ends_at = time.monotonic() + seconds
        while True:
            status = await self.status(request_id)
            if status["counts"]["connected"] >= connected:
                return status
            assert not status["isCompleted"] and time.monotonic() < ends_at, (status["counts"], status["errorSummary"])
            await asyncio.sleep(0.1)

    async def settle(self, request_id: str, seconds: float = 300.0, every: float = 0.1) -> Json:
        """Wait until a request is completed."""
        ends_at = time.monotonic() + seconds
        while True:
            status = await self.status(request_id)
            if status["isCompleted"]:
                return status
            assert time.monotonic() < ends_at, status["counts"]
            await asyncio.sleep(every)


@contextlib.asynccontextmanager
async def open_bench(settings: Mapping[str, str], workers: int = 1, *, is_pinned: bool = True) -> AsyncIterator[Bench]:
    """Start a service with an empty database."""
    with tempfile.TemporaryDirectory(prefix="bulk-connect-bench-") as name:
        folder = Path(name)
        with pinned(CLIENT_CORE) if is_pinned else contextlib.nullcontext():
            ground = embedded.start(folder / "data")
            try:
                await migrate(ground.database_url)
                quiet = {"LOG_LEVEL": "WARNING", "RATE_LIMIT": "1000000", **settings}
                with open_line(folder, ground.database_url, ground.redis_url, quiet) as line:
                    line.environ["BULK_CONNECT_LOG_LEVEL"] = "INFO"  # start_worker listens for its first words
                    await line.start_api()
                    for number in range(workers):
                        await line.start_worker(f"worker-{number}")
                    headers = {"x-api-key": await line.make_key()}
                    async with aiohttp.ClientSession(headers=headers) as session:
                        yield Bench(line, ground, session)
            finally:
                ground.stop()
