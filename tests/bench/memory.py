"""I/O: what a check in flight holds: rows that wait for the answers to their logins, over TLS, in one worker."""

import asyncio
import functools
import re
import ssl
import tempfile
import time
from pathlib import Path

import aiohttp

from app.settings import PREFIX
from tests.bench.measure import list_family
from tests.bench.service import Json, open_bench
from tests.fakes.counting import Counting, count_logins
from tests.real.certificates import Authority
from tests.real.process import free_ports

HOSTS = 250
SETTLE_SECONDS = 20.0


def make_rows(book: Counting, count: int, kind: str) -> list[Json]:
    return [
        {
            "smtpEmailAddress": f"{kind}-{number}@counting.test",
            "smtpPassword": f"bench-password-{number}",
            "smtpHost": book.hosts[number % HOSTS],
            "smtpPort": book.smtp_port,
            "smtpEncryption": "ssl",
            "imapHost": book.hosts[number % HOSTS],
            "imapPort": book.imap_port,
            "imapEncryption": "ssl",
        }
        for number in range(count)
    ]


async def measure(count: int) -> list[str]:
    """Return what there is to say of `count` rows in flight at once."""
    with tempfile.TemporaryDirectory(prefix="bench-memory-") as name:
        authority = Authority(Path(name))

        @functools.cache
        def speak(host: str) -> ssl.SSLContext:
            # A certificate each: the names in one are held by every connection.
            pair = authority.issue(host, host)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(pair.certificate, pair.key)
            return context

        async with count_logins(0.01, HOSTS, tls=speak) as book:
            (port,) = free_ports(1)
            settings = {
                "ALLOW_PORTS": f"{book.smtp_port},{book.imap_port}",
                "CA_FILE": str(authority.ca_file),
                "CHECK_CONCURRENCY": str(count),
            }
            async with open_bench(settings, workers=0, is_pinned=False) as bench:
                bench.line.environ[f"{PREFIX}METRICS_ADDRESS"] = f"127.0.0.1:{port}"
                worker = await bench.line.start_worker("worker")
                warm, _ = await bench.post(make_rows(book, HOSTS * 8, "good"))
                await bench.settle(warm)
                before = read_memory_kb(worker.pid)
                await bench.post(make_rows(book, count, "held"))
                running = await wait_for_most(port, count)
                after = read_memory_kb(worker.pid)
                book.let_go.set()
        held = f"{before / 1024:.0f} MB with none, {after / 1024:.0f} MB with {running} rows in flight"
        return [f"One worker: {held}: {(after - before) / max(running, 1):.0f} KB a row, both its sides over TLS"]


async def wait_for_most(port: int, count: int) -> int:
    """Wait until as many checks are in flight as there will be; return how many."""
    ends_at = time.monotonic() + SETTLE_SECONDS
    running = 0
    async with aiohttp.ClientSession() as session:
        while running < count and time.monotonic() < ends_at:
            await asyncio.sleep(0.5)
            async with session.get(f"http://127.0.0.1:{port}/metrics") as answer:
                found = re.search(r"^bulk_connect_checks_in_flight (\S+)$", await answer.text(), re.MULTILINE)
            running = int(float(found.group(1))) if found else 0
    await asyncio.sleep(2)  # the last of them have reached their login
    return running


def read_memory_kb(pid: int) -> int:
    """Return what a process and its children hold now, shared pages counted once (proc(5), smaps_rollup)."""
    total = 0
    for member in list_family(pid):
        text = Path(f"/proc/{member}/smaps_rollup").read_text()
        total += int(text.partition("Pss:")[2].split()[0])
    return total
