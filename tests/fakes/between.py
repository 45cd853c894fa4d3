"""I/O: a relay before PostgreSQL that can stop after any statement: done there, and not yet known here.

It reads the messages of both sides (PostgreSQL's protocol, version 3: a letter, a length, a body), so that nothing in
the code under test has to know of it.
"""

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

SOCKET = ".s.PGSQL.5432"
_STATEMENT_ENDS = frozenset({b"Q", b"S", b"c"})
"""Query, Sync and CopyDone: what PostgreSQL is waited for after."""
_READY, _COPY_IN = b"Z", b"G"
"""What PostgreSQL says when it has done so, and when it waits for rows."""


class Between:
    """Where PostgreSQL is found, and after how many statements more all answers are held back; 0: never."""

    def __init__(self, folder: Path, database_url: str) -> None:
        self._folder = folder
        self._real = f"{parse_qs(urlsplit(database_url).query)['host'][0]}/{SOCKET}"
        self.database_url = f"{database_url.partition('?')[0]}?host={folder}"
        self.seen = 0
        self.holds_after = 0
        self.cuts = False
        self.held = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    def hold_after(self, count: int, *, cuts: bool = False) -> None:
        """Count anew; hold back what PostgreSQL answers to the statement of that number, and all that follows.

        `cuts`: the connection is cut then, and new ones are served again.
        """
        self.seen, self.holds_after, self.cuts = 0, count, cuts
        self.held.clear()

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator["Between"]:
        server = await asyncio.start_unix_server(self._serve, str(self._folder / SOCKET))
        try:
            yield self
        finally:
            server.close()
            for task in list(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, to_there = await asyncio.open_unix_connection(self._real)
        ways = [asyncio.create_task(self._forward(reader, to_there)), asyncio.create_task(self._back(there, writer))]
        self._tasks.update(ways)
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            self._tasks.difference_update(ways)
            writer.close()
            to_there.close()

    async def _forward(self, reader: asyncio.StreamReader, to_there: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, OSError):
            (length,) = struct.unpack("!i", head := await reader.readexactly(4))
            to_there.write(head + await reader.readexactly(length - 4))  # the first has no letter
            while True:
                kind, whole = await _read_message(reader)
                self.seen += kind in _STATEMENT_ENDS
                to_there.write(whole)
                await to_there.drain()

    async def _back(self, there: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, OSError):
            while True:
                kind, whole = await _read_message(there)
                if self.holds_after and self.seen >= self.holds_after and kind in {_READY, _COPY_IN}:
                    self.held.set()
                    if not self.cuts:
                        await asyncio.Event().wait()  # until the other side hangs up
                    self.holds_after = 0
                    return
                writer.write(whole)
                await writer.drain()


async def _read_message(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    head = await reader.readexactly(5)
    (length,) = struct.unpack("!i", head[1:])
    return head[:1], head + await reader.readexactly(length - 4)
