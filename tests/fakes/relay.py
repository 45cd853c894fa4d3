"""I/O: a relay on the loopback that exchanges a word in what a real server answers."""

import asyncio
import contextlib
from collections.abc import AsyncIterator


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
