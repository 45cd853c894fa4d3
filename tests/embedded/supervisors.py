"""Servers run from here and from other processes, what is noted in them, and who is still alive."""

import contextlib
import fcntl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from redis.asyncio import Redis

from app import embedded
from app.store.db import connect
from tests.conftest import run_sql

SUPERVISOR = """
import sys, time, pathlib
from app import embedded
running = embedded.start(pathlib.Path(sys.argv[1]))
print("ready", *(server.process.pid for server in running.servers), flush=True)
time.sleep(600)
"""


@contextlib.contextmanager
def running(folder: Path, programs: embedded.Programs | None = None) -> Iterator[embedded.Embedded]:
    servers = embedded.start(folder, programs)
    try:
        yield servers
    finally:
        servers.stop()


@contextlib.contextmanager
def beginning(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Begin to run servers from a process of their own, which is killed in the end."""
    command = [sys.executable, "-c", SUPERVISOR, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


@contextlib.contextmanager
def another_supervisor(folder: Path) -> Iterator[tuple[subprocess.Popen[str], list[int]]]:
    """Run servers from a process of their own. Yields it and the servers' process ids."""
    pids: list[int] = []
    with beginning(folder) as process:
        assert process.stdout is not None
        word, *numbers = process.stdout.readline().split()
        assert word == "ready"
        pids += map(int, numbers)
        yield process, pids
    wait_until_gone(*pids)


def is_alive(pid: int) -> bool:
    """Tell whether a process runs; one that ended and waits for its parent's look does not."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def wait_until_gone(*pids: int) -> None:
    ends_at = time.monotonic() + 20
    while any(map(is_alive, pids)):
        assert time.monotonic() < ends_at, "a server outlived its supervisor"
        time.sleep(0.05)


def wait_until_held(folder: Path) -> None:
    ends_at = time.monotonic() + 20
    while time.monotonic() < ends_at:
        with contextlib.suppress(FileNotFoundError), (folder / "lock").open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return
        time.sleep(0.01)
    raise AssertionError("nobody took the folder")


async def note(servers: embedded.Embedded, text: str) -> None:
    await run_sql(servers.database_url, "CREATE TABLE IF NOT EXISTS notes (text text)")
    await run_sql(servers.database_url, f"INSERT INTO notes (text) VALUES ('{text}')")
    async with Redis.from_url(servers.redis_url) as redis:
        await redis.rpush("notes", text)


async def notes(servers: embedded.Embedded) -> tuple[list[str], list[str]]:
    link = await connect(servers.database_url)
    kept = [record[0] for record in await link.fetch("SELECT text FROM notes")]
    await link.close()
    async with Redis.from_url(servers.redis_url, decode_responses=True) as redis:
        return kept, list(await redis.lrange("notes", 0, -1))
