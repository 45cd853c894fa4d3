"""I/O: thousands of checks in flight in this process, and what they hold: memory, files, the loop.

Usage: python -m tests.login.thousands AUTHORITY.pem SMTP_PORT IMAP_PORT COUNT; prints one line of JSON.
"""

import asyncio
import gc
import json
import resource
import sys
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path

from app.checked import Checked
from app.cli.root import run_async
from app.login.check import Tools, check_login, close_tools, open_tools
from app.login.trace import Deadlines
from app.model import Encryption, Login, Protocol, Secret, Server
from app.settings import Settings
from tests.real.certificates import HOST

WARM_UP = 50
LOOK_SECONDS = 0.01
PATIENCE = Deadlines(total=100, resolve=30, connect=60, tls=60, greet=60, auth=90, select=60)


def raise_limit() -> None:
    """Allow this process as many open files as the machine lets it."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def read_memory_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def count_open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@asynccontextmanager
async def watch() -> AsyncIterator[list[tuple[float, int]]]:
    """Yield how long the loop was held between two looks, and what was resident then.

    In seconds of the processor: what else runs on the machine is not counted.
    """

    async def look() -> None:
        seen = time.thread_time()
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            now = time.thread_time()
            looks.append((now - seen, read_memory_bytes()))
            seen = now

    looks: list[tuple[float, int]] = []
    task = asyncio.create_task(look())
    try:
        yield looks
    finally:
        task.cancel()


async def check_all(names: Iterable[str], tools: Tools, ports: dict[Protocol, int]) -> list[Checked]:
    """Check all at once, one of each protocol in turn."""
    checks = []
    for number, name in enumerate(names):
        protocol = list(Protocol)[number % 2]
        server = Server(HOST, ports[protocol], Encryption.SSL)
        checks.append(check_login(Login(protocol, server, name, Secret(f"word of {name}")), tools, address=name))
    return await asyncio.gather(*checks)


async def run(authority: str, smtp_port: int, imap_port: int, count: int) -> dict[str, float]:
    ports = {Protocol.SMTP: smtp_port, Protocol.IMAP: imap_port}
    loopback = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
    settings = Settings(ca_file=authority, allow_networks=loopback, allow_ports=frozenset(ports.values()))
    tools = replace(open_tools(settings), deadlines=PATIENCE)
    await check_all((f"good-{number}@counting.test" for number in range(WARM_UP)), tools, ports)
    gc.collect()
    memory, files = read_memory_bytes(), count_open_files()
    async with watch() as looks:
        results = await check_all((f"held-{number}@counting.test" for number in range(count)), tools, ports)
        await asyncio.sleep(0.5)
    figures = {
        "ok": sum(result.is_ok for result in results),
        "kilobytes_each": round((max(held for _, held in looks) - memory) / count / 1024, 1),
        "files_left": count_open_files() - files,
        "longest_stall_seconds": round(max(stall for stall, _ in looks), 3),
    }
    await close_tools(tools)
    return figures


if __name__ == "__main__":
    raise_limit()
    # As a worker runs.
    told = run_async(lambda: run(sys.argv[1], *map(int, sys.argv[2:])), fast=True)
    sys.stdout.write(json.dumps(told) + "\n")
