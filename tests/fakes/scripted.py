"""I/O: a server on the loopback that follows a script, for what Dovecot and Postfix cannot be brought to do.

It writes down every byte that it is sent, decrypted, also those that its script never reads.
"""

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import SupportsIndex


class Do(Enum):
    """A step that is neither `bytes` to send nor a `str` that the next line must hold."""

    CLOSE = "close"
    RESET = "reset"
    HANG = "hang"
    STARTTLS = "starttls"
    READ = "read"


class Recorder(asyncio.StreamReader):
    """A reader that keeps what came in."""

    def __init__(self, heard: bytearray) -> None:
        super().__init__()
        self.heard = heard

    def feed_data(self, data: Iterable[SupportsIndex]) -> None:
        self.heard += bytes(data)
        super().feed_data(data)


@dataclass
class Peer:
    """One caller, as a step sees him. `tag`: the first word of the last line read that has two."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    tls: ssl.SSLContext | None
    lines: list[bytes]
    tag: bytes = b""

    async def send(self, data: bytes) -> None:
        self.writer.write(data.replace(b"TAG", self.tag))
        await self.writer.drain()

    async def expect(self, words: str) -> bool:
        line = await self.reader.readuntil(b"\n")
        self.lines.append(line)
        first, space, _ = line.partition(b" ")
        self.tag = first if space else self.tag
        return words.encode().upper() in line.upper()


Act = Callable[[Peer], Awaitable[None]]
Step = bytes | str | Do | Act


@dataclass
class Scripted:
    """A running server: where it listens, the lines that its script read, and all that each caller sent."""

    port: int
    lines: list[bytes]
    heard: list[bytearray] = field(default_factory=list)

    @property
    def calls(self) -> int:
        return len(self.heard)


@contextlib.asynccontextmanager
async def serve(
    steps: Sequence[Step], *, tls: ssl.SSLContext | None = None, is_implicit: bool = False, host: str = "127.0.0.1"
) -> AsyncIterator[Scripted]:
    """Run a server that treats every caller to `steps`. `tls`: for STARTTLS, or from the first byte."""
    tasks: set[asyncio.Task[None]] = set()
    is_over = False
    loop = asyncio.get_running_loop()

    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if is_over:
            writer.close()  # its handshake ended after the last check
            return
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        assert isinstance(reader, Recorder)
        seen.heard.append(reader.heard)
        try:
            await _play(steps, Peer(reader, writer, tls, seen.lines))
        except (OSError, asyncio.CancelledError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # a cancelled handler would be told to the loop's exception handler
        finally:
            tasks.discard(task)
            writer.close()

    def answer() -> asyncio.StreamReaderProtocol:
        return asyncio.StreamReaderProtocol(Recorder(bytearray()), play)

    server = await loop.create_server(answer, host, 0, ssl=tls if is_implicit else None)
    seen = Scripted(server.sockets[0].getsockname()[1], [])
    try:
        yield seen
    finally:
        is_over = True
        server.close()
        for task in list(tasks):
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)


async def _play(steps: Sequence[Step], peer: Peer) -> None:
    for step in steps:
        match step:
            case bytes():
                await peer.send(step)
            case str():
                if not await peer.expect(step):
                    return  # off the script: hang up
            case Do.READ:
                await peer.reader.read(65536)
            case Do.CLOSE:
                return
            case Do.RESET:
                link: socket.socket = peer.writer.get_extra_info("socket")
                link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                peer.writer.transport.abort()
                return
            case Do.HANG:
                await asyncio.sleep(3600)
            case Do.STARTTLS:
                assert peer.tls is not None
                await peer.writer.start_tls(peer.tls)
            case _:
                await step(peer)
