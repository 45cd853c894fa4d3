"""I/O: whether waiting is free: slow servers, many checks in flight, some hosts silent, more workers."""

import contextlib
import socket
import time
from collections.abc import Iterator

from tests.bench.service import Json, open_bench
from tests.fakes.counting import Counting, count_logins

HOSTS = 60
LOGIN_SECONDS = 1.0
REPLY_SECONDS = 0.15
TIMEOUT_SECONDS = 20


def make_rows(book: Counting, count: int, label: str, silent: tuple[str, int] | None = None) -> list[Json]:
    """Return mailboxes spread over the hosts; of ten, one is at a silent one where there is any."""
    rows: list[Json] = []
    for number in range(1, count + 1):
        host, smtp_port, imap_port = book.hosts[number % len(book.hosts)], book.smtp_port, book.imap_port
        if silent is not None and number % 10 == 0:
            host, smtp_port = silent
            imap_port = smtp_port
        rows.append(
            {
                "smtpEmailAddress": f"good-{label}-{number}@counting.test",
                "smtpPassword": f"bench-password-{number}",
                "smtpHost": host,
                "smtpPort": smtp_port,
                "smtpEncryption": "none",
                "imapHost": host,
                "imapPort": imap_port,
                "imapEncryption": "none",
            }
        )
    return rows


def seconds_of_one_check() -> float:
    """Return what the slower side of one check takes where nothing is waited for but the server: five answers of
    IMAP (greeting, login, LIST with EXAMINE, LOGOUT), the login's own second among them."""
    return LOGIN_SECONDS + 4 * REPLY_SECONDS


async def measure(concurrency: int, workers: int, count: int, *, with_silence: bool = False) -> tuple[float, Json]:
    """Return rows a second while all slots of all workers are taken, and the last status."""
    with silent_port() as port:
        async with count_logins(LOGIN_SECONDS, HOSTS, REPLY_SECONDS) as book:
            settings = {
                "ALLOW_PORTS": f"{book.smtp_port},{book.imap_port},{port}",
                "CHECK_CONCURRENCY": str(concurrency),
                "GREET_TIMEOUT": "3",
                "RETRY_BUDGET": "0",
            }
            async with open_bench(settings, workers, is_pinned=False) as bench:
                warm, _ = await bench.post(make_rows(book, HOSTS * 20, "warm"))
                await bench.settle(warm)
                rows = make_rows(book, count, "main", ("127.0.0.1", port) if with_silence else None)
                request_id, _ = await bench.post(rows)
                good, slots = count - (count // 10 if with_silence else 0), concurrency * workers
                before, began_at = await bench.wait_for(request_id, slots), time.perf_counter()
                status = await bench.wait_for(request_id, good - slots)
                done = status["counts"]["connected"] - before["counts"]["connected"]
                return done / (time.perf_counter() - began_at), status


@contextlib.contextmanager
def silent_port() -> Iterator[int]:
    """Yield a port that takes connections and never says a word."""
    with socket.socket() as link:
        link.bind(("127.0.0.1", 0))
        link.listen(1024)
        yield link.getsockname()[1]
