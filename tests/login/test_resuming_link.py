"""The transport that takes sessions up does what the loops' do: all arrives, ends are told, nothing is left open."""

import asyncio
import contextlib
import os
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from app.login.resume import KnownServer, ResumingLink
from tests.login.test_resumption import server_context
from tests.real.certificates import Authority, Pair

MUCH = os.urandom(1 << 20) * 3

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Listener(asyncio.Protocol):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.heard = bytearray()
        self.ends: list[Exception | None] = []
        self.news = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        self.heard += data
        self.news.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.ends.append(exc)
        self.news.set()

    async def hear(self, size: int) -> bytes:
        while len(self.heard) < size:
            self.news.clear()
            await self.news.wait()
        return bytes(self.heard)

    async def end(self) -> Exception | None:
        while not self.ends:
            self.news.clear()
            await self.news.wait()
        return self.ends[0]


@pytest.fixture(scope="module")
def pair(authority: Authority) -> Pair:
    return authority.issue("link")


@pytest.fixture(params=["in clear", "TLSv1_2", "TLSv1_3"])
def context(request: pytest.FixtureRequest, pair: Pair) -> ssl.SSLContext | None:
    if request.param == "in clear":
        return None
    context = server_context(pair)
    context.minimum_version = context.maximum_version = ssl.TLSVersion[request.param]
    return context


def known(pair: Pair) -> KnownServer:
    return KnownServer(b"localhost", ssl.PEM_cert_to_DER_cert(pair.certificate.read_text()), {})


@contextlib.asynccontextmanager
async def linked(
    serve: Serve, context: ssl.SSLContext | None, pair: Pair, small_buffers: bool = False
) -> AsyncIterator[tuple[ResumingLink, Listener]]:
    """Connect to a server that does `serve`."""
    handlers: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        handlers.add(task)
        with contextlib.suppress(OSError, asyncio.CancelledError):
            await serve(reader, writer)
        writer.close()

    loop, listener = asyncio.get_running_loop(), Listener()
    server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=context)
    sock = socket.socket()
    sock.setblocking(False)
    if small_buffers:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    await loop.sock_connect(sock, server.sockets[0].getsockname())
    link = ResumingLink(sock, known(pair))
    if context is not None:
        await link.start_tls()
    link.hand_to(listener)
    try:
        yield link, listener
    finally:
        link.abort()
        assert sock.fileno() == -1
        await asyncio.sleep(0)
        assert len(listener.ends) == 1
        server.close()
        for task in handlers:
            task.cancel()
        if handlers:
            await asyncio.wait(handlers)


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(0.05)  # by then the sender has run into full buffers
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()


async def test_all_arrives_both_ways_in_its_order(context: ssl.SSLContext | None, pair: Pair) -> None:
    async with linked(echo, context, pair, small_buffers=True) as (link, listener):
        link.write(MUCH[:1000])
        link.write(memoryview(MUCH)[1000:])
        assert link._unsent, "it was to run into full buffers"
        assert await listener.hear(len(MUCH)) == MUCH
        assert not link._unsent
        link.write(b"more")
        assert (await listener.hear(len(MUCH) + 4))[-4:] == b"more"


async def test_listener_that_fails_is_told_to_the_loop_and_hears_the_end(pair: Pair) -> None:
    def fail(data: bytes) -> None:
        raise LookupError("a defect")

    loop, complaints = asyncio.get_running_loop(), list[object]()
    loop.set_exception_handler(lambda _, context: complaints.append(context["exception"]))
    async with linked(echo, None, pair) as (link, listener):
        listener.data_received = fail  # type: ignore[method-assign]
        link.write(b"x")
        assert await listener.end() is None
    loop.set_exception_handler(None)
    assert [str(error) for error in complaints] == ["a defect"]


async def test_farewell_of_the_peer_is_an_end_without_error(context: ssl.SSLContext | None, pair: Pair) -> None:
    async def part(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"bye")

    async with linked(part, context, pair) as (link, listener):
        assert await listener.end() is None
        assert listener.heard == b"bye"
        assert link.is_closing()
        link.write(b"too late")


async def test_peer_that_hangs_up_without_farewell_is_one_too(context: ssl.SSLContext | None, pair: Pair) -> None:
    async def vanish(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.get_extra_info("socket").shutdown(socket.SHUT_WR)

    async with linked(vanish, context, pair) as (link, listener):
        link.write(b"x")
        assert await listener.end() is None


@pytest.mark.parametrize("is_writing", [True, False])
async def test_reset_is_told(context: ssl.SSLContext | None, pair: Pair, is_writing: bool) -> None:
    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        link = writer.get_extra_info("socket")
        link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    async with linked(reset, context, pair) as (link, listener):
        link.write(MUCH if is_writing else b"x")
        assert isinstance(await listener.end(), ConnectionResetError | BrokenPipeError)


async def test_what_is_no_tls_is_told(pair: Pair) -> None:
    async def shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        # Past TLS, straight on the socket.
        os.write(writer.get_extra_info("socket").fileno(), b"* BYE not under TLS any more\r\n")
        await reader.read()

    async with linked(shout, server_context(pair), pair) as (link, listener):
        link.write(b"x")
        end = await listener.end()
        assert isinstance(end, ssl.SSLError)
        assert end.reason


async def answer(said: bytes) -> None:
    """Shake hands with a server that says `said` and nothing more, and hang up after half a second."""

    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(said)
        if not said:
            with contextlib.suppress(OSError):
                while await reader.read(65536):
                    pass
        writer.close()

    server = await asyncio.start_server(say, "127.0.0.1", 0)
    sock = socket.socket()
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, server.sockets[0].getsockname())
    link = ResumingLink(sock, KnownServer(b"localhost", b"", {}))
    try:
        async with asyncio.timeout(0.5):
            await link.start_tls()
    finally:
        server.close()
        assert link.is_closing()
        assert sock.fileno() == -1
        await asyncio.sleep(0.05)  # for the server to notice


async def test_handshake_that_fails_leaves_nothing_open() -> None:
    with pytest.raises(ssl.SSLError) as caught:
        await answer(b"220 mail.example.com ESMTP\r\n")
    assert caught.value.reason == "wrong version number"


async def test_peer_that_hangs_up_in_the_handshake_has_reset_it() -> None:
    with pytest.raises(ConnectionResetError):
        await answer(b"\x16")


async def test_handshake_that_is_given_up_leaves_nothing_open() -> None:
    with pytest.raises(TimeoutError):
        await answer(b"")


async def test_names_of_other_transports_are_known(pair: Pair) -> None:
    async with linked(echo, None, pair) as (link, _):
        assert link.get_extra_info("socket").getpeername()[0] == "127.0.0.1"
        assert link.get_extra_info("ssl_object") is None
        assert link.get_extra_info("sslcontext", "in clear") == "in clear"
        assert link.version() == ""
    async with linked(echo, server_context(pair), pair) as (link, _):
        assert link.get_extra_info("ssl_object") is link
        assert link.get_extra_info("sslcontext") is not None
        assert link.version() == "TLSv1.3"
