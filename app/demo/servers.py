"""I/O: all the houses of the demonstration, open on ports of the loopback; and hosts that are no mail servers."""

import asyncio
import contextlib
import socket
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Final

from app.demo.authority import Authority
from app.demo.houses import (
    CLOSED_HOST,
    HOUSES,
    INNER_ADDRESS,
    INNER_HOST,
    SHARED_NAMES,
    SILENT_HOST,
    WEB_HOST,
    Certificate,
    House,
    Town,
)
from app.demo.names import LOOPBACK, serve_names
from app.demo.sessions import ImapSession, Session, SmtpSession

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

_WEB_ANSWER: Final = b"HTTP/1.1 400 Bad Request\r\nServer: nginx\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@contextlib.asynccontextmanager
async def open_town(folder: Path) -> AsyncIterator[Town]:
    """Open every house; close all when left. `folder`: for keys and certificates."""
    authority = Authority(folder)
    async with contextlib.AsyncExitStack() as stack:
        tasks: set[asyncio.Task[None]] = set()
        stack.push_async_callback(_end, tasks)

        async def listen(talk: Talk, tls: ssl.SSLContext | None = None) -> int:
            server = await asyncio.start_server(_tracked(talk, tasks), LOOPBACK, 0, ssl=tls)
            stack.callback(server.close)
            return int(server.sockets[0].getsockname()[1])

        ports: dict[tuple[str, str, str], int] = {}
        for house in HOUSES:
            context = _context(authority, house)
            busy: Counter[str] = Counter()
            for protocol, kind in (("smtp", SmtpSession), ("imap", ImapSession)):
                implicit, explicit = _talk(kind, house, busy, None), _talk(kind, house, busy, context)
                ports[house.label, protocol, "ssl"] = await listen(implicit, context)
                ports[house.label, protocol, "starttls"] = await listen(explicit)
        closed = stack.enter_context(socket.socket())
        closed.bind((LOOPBACK, 0))  # bound and not listening: nobody else gets the port, and every call is refused
        hosts = {host for house in HOUSES for host in (house.smtp_host, house.imap_host)}
        transport, name_server = await serve_names(
            hosts | {SILENT_HOST, CLOSED_HOST, WEB_HOST}, {INNER_HOST: INNER_ADDRESS}
        )
        stack.callback(transport.close)
        yield Town(
            ports,
            await listen(_stay_silent),
            int(closed.getsockname()[1]),
            await listen(_answer_as_web_server),
            name_server,
            authority.ca_file,
        )


def _context(authority: Authority, house: House) -> ssl.SSLContext:
    names = tuple(dict.fromkeys((house.smtp_host, house.imap_host)))
    shown = SHARED_NAMES if house.certificate is Certificate.OTHER_NAME else names
    return authority.context(
        house.label,
        shown,
        is_expired=house.certificate is Certificate.EXPIRED,
        is_self_signed=house.certificate is Certificate.SELF_SIGNED,
    )


def _talk(kind: type[Session], house: House, busy: Counter[str], tls: ssl.SSLContext | None) -> Talk:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await kind(house, reader, writer, busy, tls).run()

    return talk


async def _stay_silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    while await reader.read(4096):
        pass


async def _answer_as_web_server(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    # A web server hears a mail program out until it gives up, or says that this is no HTTP.
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.2):
            await reader.read(4096)
    writer.write(_WEB_ANSWER)
    await writer.drain()


def _tracked(talk: Talk, tasks: set[asyncio.Task[None]]) -> Callable[..., Awaitable[None]]:
    async def run(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await talk(reader, writer)
            await writer.drain()
        except (OSError, EOFError, ValueError, asyncio.CancelledError):
            pass  # clients hang up in all ways; a cancelled handler would be told to the loop as a defect
        finally:
            tasks.discard(task)
            writer.close()

    return run


async def _end(tasks: set[asyncio.Task[None]]) -> None:
    for task in tuple(tasks):
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=2)
