"""I/O: a slow server in a process of its own: it answers no login before all are made, and then takes its time.

Usage: python -m tests.login.slow_server CERTIFICATE KEY LOGINS; prints its two ports; ends with its standard input.
"""

import asyncio
import contextlib
import json
import ssl
import sys

import uvloop

from tests.fakes.counting import Counting, count_logins
from tests.login.thousands import raise_limit

ANSWERS_WITHIN_SECONDS = 6.0
"""From half to one and a half of it after the last login was made."""


async def let_go(book: Counting, logins: int) -> None:
    while sum(count for name, count in book.asked.items() if name.startswith("held-")) < logins:
        await asyncio.sleep(0.1)
    book.let_go.set()


async def serve(certificate: str, key: str, logins: int) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    async with count_logins(ANSWERS_WITHIN_SECONDS, tls=lambda _host: context) as book:
        sys.stdout.write(json.dumps([book.smtp_port, book.imap_port]) + "\n")
        sys.stdout.flush()
        waiting = asyncio.create_task(let_go(book, logins))
        await asyncio.to_thread(sys.stdin.read)
        waiting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await waiting


if __name__ == "__main__":
    raise_limit()
    uvloop.run(serve(sys.argv[1], sys.argv[2], int(sys.argv[3])))
