"""Our own processes as they really run, `python -m app api` and `worker`, each with a log that a test can read."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from app.model import Scope
from app.seal import Keyring, new_key_text
from app.settings import PREFIX, UNPREFIXED
from app.store.db import connect
from app.store.workspaces import insert_api_key, insert_workspace
from tests.real.process import free_ports

Json = Any
ALL_SCOPES = (Scope.CONNECT, Scope.READ, Scope.WRITE)


@dataclass
class Line:
    """The processes of one service on one database. `environ` holds their settings; `folder` their data and logs."""

    folder: Path
    environ: dict[str, str]
    port: int
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def database_url(self) -> str:
        return self.environ["DATABASE_URL"]

    @property
    def keyring(self) -> Keyring:
        return Keyring.from_texts(self.environ[f"{PREFIX}SECRET_KEYS"].split(","))

    def start(self, name: str, *arguments: str) -> subprocess.Popen[bytes]:
        """Start `python -m app ARGUMENTS`; its words go to a log of that name."""
        with (self.folder / f"{name}.log").open("ab") as words:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", "app", *arguments],
                env=self.environ,
                stdin=subprocess.DEVNULL,
                stdout=words,
                stderr=words,
            )
        return self.processes[name]

    async def start_api(self) -> None:
        process = self.start("api", "api")

        async def is_ready() -> bool:
            assert process.poll() is None, self.words("api")[-2000:]
            return await is_answering(f"{self.url}/readyz")

        await until(is_ready)

    async def start_worker(self, name: str) -> subprocess.Popen[bytes]:
        """Start a worker and wait until it says that it works."""
        said = self.words(name).count("worker.started")
        process = self.start(name, "worker")

        async def has_started() -> bool:
            assert process.poll() is None, self.words(name)[-2000:]
            return self.words(name).count("worker.started") > said

        await until(has_started)
        return process

    def words(self, name: str) -> str:
        path = self.folder / f"{name}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    async def make_key(self, workspace: str = "flow") -> str:
        link = await connect(self.database_url)
        try:
            owner = await insert_workspace(link, workspace, self.keyring)
            key, _ = await insert_api_key(link, owner.id, ALL_SCOPES)
        finally:
            await link.close()
        return key

    def kill(self, name: str) -> None:
        """SIGKILL: what a machine that loses its power does."""
        process = self.processes.pop(name)
        process.kill()
        process.wait()

    async def end(self, name: str, seconds: float = 20.0) -> tuple[int, float]:
        """SIGTERM. Returns the exit code and how long the end took."""
        process = self.processes.pop(name)
        started = time.monotonic()
        process.send_signal(signal.SIGTERM)
        try:
            code = await asyncio.to_thread(process.wait, seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        return code, time.monotonic() - started

    def end_all(self) -> None:
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            try:
                process.wait(25)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.processes.clear()


@contextlib.contextmanager
def open_line(folder: Path, database_url: str, redis_url: str, settings: Mapping[str, str]) -> Iterator[Line]:
    """Lay a line; nothing is started yet. `settings`: without their prefix. In the end every process is stopped."""
    (port,) = free_ports(1)
    clean = {name: text for name, text in os.environ.items() if not name.startswith(PREFIX) and name not in UNPREFIXED}
    given = {
        "SECRET_KEYS": new_key_text(),
        "DATA_DIR": str(folder),
        "PORT": str(port),
        "METRICS_ADDRESS": "127.0.0.1:0",
        "LOG_LEVEL": "DEBUG",
        "LOG_FORMAT": "json",
        "ALLOW_NETWORKS": "127.0.0.0/8",
        **settings,
    }
    environ = clean | {"DATABASE_URL": database_url, "REDIS_URL": redis_url}
    line = Line(folder, environ | {PREFIX + name: text for name, text in given.items()}, port)
    try:
        yield line
    finally:
        line.end_all()


async def is_answering(url: str) -> bool:
    try:
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            return answer.status == 200
    except aiohttp.ClientError:
        return False


async def until(is_so: Callable[[], Awaitable[bool]], seconds: float = 30.0, every: float = 0.05) -> float:
    """Wait until something is so. Returns how long it took; asserts that it became so in time."""
    started = time.monotonic()
    while not await is_so():
        assert time.monotonic() - started < seconds, f"not so within {seconds:g} s"
        await asyncio.sleep(every)
    return time.monotonic() - started
