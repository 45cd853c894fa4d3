"""The transport that takes sessions up does what the loops' do: all arrives, ends are told, nothing is left open."""

import asyncio
import contextlib
import gc
import os
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace

import pytest
from OpenSSL import SSL

from app.login.pin import KnownServer, open_pinning
from app.login.resume import ResumingError, ResumingLink
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


@pytest.fixture(params=["TLSv1_2", "TLSv1_3"])
def context(request: pytest.FixtureRequest, pair: Pair) -> ssl.SSLContext:
    context = server_context(pair)
    context.minimum_version = context.maximum_version = ssl.TLSVersion[request.param]
    return context


def known(pair: Pair) -> KnownServer:
    return KnownServer(open_pinning(), b"localhost", ssl.PEM_cert_to_DER_cert(pair.certificate.read_text()), {})


@contextlib.asynccontextmanager
async def serving(serve: Serve, context: ssl.SSLContext | None) -> AsyncIterator[int]:
    """Run a server that does `serve`, and yield its port."""
    handlers: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        handlers.add(task)
        with contextlib.suppress(OSError, asyncio.CancelledError):
            await serve(reader, writer)
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in handlers:
            task.cancel()
        if handlers:
            await asyncio.wait(handlers)


async def connect(server: KnownServer, port: int, listener: Listener) -> ResumingLink:
    loop, link = asyncio.get_running_loop(), ResumingLink(server)
    below, _ = await loop.create_connection(lambda: link, "127.0.0.1", port)
    await link.start_tls(below)
    link.hand_to(listener)
    return link


@contextlib.asynccontextmanager
async def linked(serve: Serve, context: ssl.SSLContext, pair: Pair) -> AsyncIterator[tuple[ResumingLink, Listener]]:
    """Connect to a server that does `serve`."""
    listener = Listener()
    async with serving(serve, context) as port:
        link = await connect(known(pair), port, listener)
        try:
            yield link, listener
        finally:
            link.abort()
            await listener.end()
            await asyncio.sleep(0)
            assert len(listener.ends) == 1
            assert link.is_closing()


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(0.05)  # by then the sender has run into full buffers
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()


async def test_all_arrives_both_ways_in_its_order(context: ssl.SSLContext, pair: Pair) -> None:
    async with linked(echo, context, pair) as (link, listener):
        link.write(MUCH[:1000])
        link.write(memoryview(MUCH)[1000:])
        assert await listener.hear(len(MUCH)) == MUCH
        link.write(b"more")
        assert (await listener.hear(len(MUCH) + 4))[-4:] == b"more"


@pytest.mark.parametrize("is_late", [True, False])
async def test_listener_that_fails_is_told_to_the_loop_and_hears_the_end(pair: Pair, is_late: bool) -> None:
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello")
        await echo(reader, writer)

    def fail(data: bytes) -> None:
        raise LookupError("a defect")

    loop, complaints, listener = asyncio.get_running_loop(), list[object](), Listener()
    loop.set_exception_handler(lambda _, context: complaints.append(context["exception"]))
    listener.data_received = fail  # type: ignore[method-assign]
    async with serving(greet, server_context(pair)) as port:
        link = ResumingLink(known(pair))
        below, _ = await loop.create_connection(lambda: link, "127.0.0.1", port)
        await link.start_tls(below)
        if is_late:
            await asyncio.sleep(0.1)  # the word is there before somebody listens, and the loop's transport has no part
        link.hand_to(listener)
        async with asyncio.timeout(5):
            assert str(await listener.end() or "a defect") == "a defect"
    loop.set_exception_handler(None)
    assert [str(error) for error in complaints] == ["a defect"]


async def test_farewell_of_the_peer_is_an_end_without_error(context: ssl.SSLContext, pair: Pair) -> None:
    async def part(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"bye")

    async with linked(part, context, pair) as (link, listener):
        assert await listener.end() is None
        assert listener.heard == b"bye"
        assert link.is_closing()
        link.write(b"too late")


async def test_peer_that_hangs_up_without_farewell_is_one_too(context: ssl.SSLContext, pair: Pair) -> None:
    async def vanish(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.get_extra_info("socket").shutdown(socket.SHUT_WR)

    async with linked(vanish, context, pair) as (link, listener):
        link.write(b"x")
        assert await listener.end() is None


@pytest.mark.parametrize("is_writing", [True, False])
async def test_reset_is_told(context: ssl.SSLContext, pair: Pair, is_writing: bool) -> None:
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
    """Shake hands with a server that says `said` and hangs up, or says nothing."""

    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(said)
        if not said:
            await reader.read(-1)

    listener = Listener()
    async with serving(say, None) as port:
        link = ResumingLink(KnownServer(open_pinning(), b"localhost", b"", {}))
        below, _ = await asyncio.get_running_loop().create_connection(lambda: link, "127.0.0.1", port)
        try:
            async with asyncio.timeout(0.5):
                await link.start_tls(below)
        finally:
            assert below.is_closing()
            await asyncio.sleep(0)
            assert link.is_closing()
            assert not listener.ends


async def test_handshake_that_fails_leaves_nothing_open() -> None:
    with pytest.raises(ResumingError) as caught:
        await answer(b"220 mail.example.com ESMTP\r\n")
    assert isinstance(caught.value.__cause__, ssl.SSLError)
    assert caught.value.__cause__.reason == "wrong version number"


async def test_peer_that_hangs_up_in_the_handshake_has_reset_it() -> None:
    with pytest.raises(ResumingError) as caught:
        await answer(b"\x16")
    assert isinstance(caught.value.__cause__, ConnectionResetError)


async def test_handshake_that_is_given_up_leaves_nothing_open() -> None:
    with pytest.raises(TimeoutError):
        await answer(b"")


async def test_server_must_show_its_certificate_where_no_session_is_offered(pair: Pair) -> None:
    careless = open_pinning()
    careless.set_verify(SSL.VERIFY_NONE, lambda *_: True)
    async with serving(echo, server_context(pair)) as port:
        with pytest.raises(ResumingError) as caught:
            await connect(replace(known(pair), context=careless), port, Listener())
    assert "no certificate was shown" in str(caught.value.__cause__)


async def test_handshake_that_failed_is_not_kept_alive_by_its_error(pair: Pair) -> None:
    gc.collect()
    gc.disable()
    try:
        with contextlib.suppress(ResumingError):
            await answer(b"220 mail.example.com ESMTP\r\n")
        await asyncio.sleep(0.05)
        assert not [each for each in gc.get_objects() if isinstance(each, ResumingLink)]
    finally:
        gc.enable()


async def test_names_of_other_transports_are_known(pair: Pair) -> None:
    async with linked(echo, server_context(pair), pair) as (link, _):
        assert link.get_extra_info("socket").getpeername()[0] == "127.0.0.1"
        assert link.get_extra_info("ssl_object") is link
        assert link.get_extra_info("sslcontext") is not None
        assert link.version() == "TLSv1.3"
    assert link.get_extra_info("ssl_object") is link
    stranger = ResumingLink(known(pair))
    assert (stranger.version(), stranger.get_extra_info("ssl_object")) == ("", None)


def test_every_error_of_the_library_is_known() -> None:
    known_errors = {"SysCallError", "WantReadError", "WantWriteError", "WantX509LookupError", "ZeroReturnError"}
    assert {each.__name__ for each in SSL.Error.__subclasses__()} == known_errors
