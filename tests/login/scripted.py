"""A server on the loopback that follows a script, for what Dovecot and Postfix cannot be brought to do."""

import asyncio
import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum


class Do(Enum):
    """A step that is neither `bytes` to send nor a `str` that the next line must begin with."""

    CLOSE = "close"
    RESET = "reset"
    HANG = "hang"
    STARTTLS = "starttls"
    READ = "read"


Step = bytes | str | Do


@dataclass
class Scripted:
    """A running server: where it listens, what it was told, and how many called."""

    port: int
    lines: list[bytes]
    calls: int = 0


@contextlib.asynccontextmanager
async def serve(
    steps: Sequence[Step], *, tls: ssl.SSLContext | None = None, is_implicit: bool = False
) -> AsyncIterator[Scripted]:
    """Run a server that treats every caller to `steps`. `tls`: for STARTTLS, or from the first byte."""
    tasks: set[asyncio.Task[None]] = set()

    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        seen.calls += 1
        try:
            await _play(steps, reader, writer, seen.lines, tls)
        except (OSError, asyncio.CancelledError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # a cancelled handler would be told to the loop's exception handler
        finally:
            tasks.discard(task)
            writer.close()

    server = await asyncio.start_server(play, "127.0.0.1", 0, ssl=tls if is_implicit else None)
    seen = Scripted(server.sockets[0].getsockname()[1], [])
    try:
        yield seen
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)


@contextlib.asynccontextmanager
async def serve_rewritten(port: int, was: bytes, now: bytes) -> AsyncIterator[int]:
    """Pass everything on to and from another server in clear, with one word of its answers exchanged."""

    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_answer: bool) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data.replace(was, now) if is_answer else data)
                await writer.drain()
        writer.close()

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(pour(reader, back, is_answer=False), pour(there, writer, is_answer=True))

    server = await asyncio.start_server(connect, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


@contextlib.contextmanager
def serve_handshakes(context: ssl.SSLContext) -> Iterator[int]:
    """Run a server in a thread that shakes hands, alerts included, which asyncio's servers keep to themselves."""
    listener = socket.create_server(("127.0.0.1", 0))

    def run() -> None:
        with contextlib.suppress(OSError):
            while True:
                link, _ = listener.accept()
                link.settimeout(5)
                with contextlib.suppress(OSError), link, context.wrap_socket(link, server_side=True) as tls:
                    tls.recv(1)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(10)


async def _play(
    steps: Sequence[Step],
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    lines: list[bytes],
    tls: ssl.SSLContext | None,
) -> None:
    tag = b""
    for step in steps:
        match step:
            case bytes():
                writer.write(step.replace(b"TAG", tag))
                await writer.drain()
            case str():
                line = await reader.readuntil(b"\n")
                lines.append(line)
                tag = line.split(b" ", maxsplit=1)[0]
                if step.encode().upper() not in line.upper():
                    return  # off the script: hang up
            case Do.READ:
                await reader.read(65536)
            case Do.CLOSE:
                return
            case Do.RESET:
                link: socket.socket = writer.get_extra_info("socket")
                link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()
                return
            case Do.HANG:
                await asyncio.sleep(3600)
            case Do.STARTTLS:
                assert tls is not None
                await writer.start_tls(tls)
