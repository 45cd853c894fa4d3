"""I/O: how long a small call takes while others do something large; in a process of its own, as its caller is busy.

Usage: python -m tests.bench.watch HOST PORT

Prints an empty line once it watches, and when its input ends the slowest call in seconds.
"""

import asyncio
import contextlib
import http.client
import select
import sys
import time
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

EVERY_SECONDS = 0.01


@contextlib.asynccontextmanager
async def watch_calls(url: str) -> AsyncIterator[list[float]]:
    """Watch a service until the body is done; the list holds the slowest call's seconds then."""
    parts, slowest = urlsplit(url), list[float]()
    command = [sys.executable, "-m", "tests.bench.watch", str(parts.hostname), str(parts.port)]
    pipe = asyncio.subprocess.PIPE
    watcher = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe)
    try:
        assert watcher.stdout is not None
        await watcher.stdout.readline()
        yield slowest
    finally:
        told, _ = await watcher.communicate(b"")  # which closes its input
        slowest.append(float(told))


def watch(host: str, port: int) -> float:
    """Call again and again until standard input ends, and return the slowest call's seconds."""
    link, slowest = http.client.HTTPConnection(host, port, timeout=60), 0.0
    _call(link)
    sys.stdout.write("\n")
    sys.stdout.flush()
    while not select.select([sys.stdin], [], [], EVERY_SECONDS)[0]:
        began = time.perf_counter()
        _call(link)
        slowest = max(slowest, time.perf_counter() - began)
    return slowest


def _call(link: http.client.HTTPConnection) -> None:
    link.request("GET", "/healthz")
    link.getresponse().read()


if __name__ == "__main__":
    sys.stdout.write(f"{watch(sys.argv[1], int(sys.argv[2]))}\n")
