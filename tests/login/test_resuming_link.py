"""The transport that takes sessions up does what the loops' do: all arrives, ends are told, nothing is left open."""

import asyncio
import contextlib
import gc
import os
import shutil
import socket
import ssl
import struct
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import replace

import pytest
from OpenSSL import SSL

from app.login.pin import KnownServer, open_pinning
from app.login.resume import TICKET_READS, ResumingError, ResumingLink
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


@contextlib.contextmanager
def in_thread(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    """Run a blocking server for one caller, and yield its port."""

    def accept() -> None:
        link, _ = listening.accept()
        with link, contextlib.suppress(SSL.Error, OSError):
            serve(link)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=accept)
        thread.start()
        yield listening.getsockname()[1]
        thread.join()


@contextlib.contextmanager
def blunt_server(context: ssl.SSLContext, *words: bytes) -> Iterator[int]:
    """Run a server that says `words`, each in a record of its own, and resets."""

    def serve(link: socket.socket) -> None:
        with context.wrap_socket(link, server_side=True) as tls:
            for word in words:
                tls.send(word)
            time.sleep(0.1)  # what is under way at a reset is lost
            tls.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with in_thread(serve) as port:
        yield port


@pytest.mark.parametrize("is_late", [True, False])
async def test_what_was_said_before_a_reset_is_heard_though_all_came_at_once(
    context: ssl.SSLContext, pair: Pair, is_late: bool
) -> None:
    listener, words = Listener(), [b"x" * 16_000, b"y" * 16_000, b"bye"]
    with blunt_server(context, *words) as port:
        link = ResumingLink(known(pair))
        below, _ = await asyncio.get_running_loop().create_connection(lambda: link, "127.0.0.1", port)
        await link.start_tls(below)
        if is_late:
            await asyncio.sleep(0.3)
        link.hand_to(listener)
        time.sleep(0.3)  # noqa: ASYNC251 - the loop is busy elsewhere
        assert isinstance(await listener.end(), ConnectionResetError)
        assert listener.heard == b"".join(words)


async def test_server_that_wants_to_renegotiate_is_answered(pair: Pair) -> None:
    def insist(link: socket.socket) -> None:
        context = SSL.Context(SSL.TLS_SERVER_METHOD)
        context.set_max_proto_version(SSL.TLS1_2_VERSION)
        context.use_certificate_chain_file(str(pair.certificate))
        context.use_privatekey_file(str(pair.key))
        tls = SSL.Connection(context, link)
        tls.set_accept_state()
        tls.do_handshake()
        tls.renegotiate()
        tls.do_handshake()
        tls.recv(1)  # until there is an answer: it is no

    listener = Listener()
    with in_thread(insist) as port:
        await connect(known(pair), port, listener)
        async with asyncio.timeout(5):
            await listener.end()


@pytest.mark.skipif(not shutil.which("openssl"), reason="no openssl program: it alone asks for new keys")
async def test_server_that_asks_for_new_keys_is_answered_though_nothing_is_written(pair: Pair) -> None:
    command = ["openssl", "s_server", "-accept", "127.0.0.1:0", "-naccept", "1", "-msg"]
    command += ["-cert", str(pair.certificate), "-key", str(pair.key)]
    pipe, listener = asyncio.subprocess.PIPE, Listener()
    openssl = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, stderr=asyncio.subprocess.STDOUT)
    assert openssl.stdin is not None
    assert openssl.stdout is not None
    try:
        async with asyncio.timeout(10):
            await openssl.stdout.readuntil(b"ACCEPT 127.0.0.1:")
            port = int(await openssl.stdout.readline())
            link = await connect(known(pair), port, listener)
            for _ in range(2 * TICKET_READS):
                openssl.stdin.write(b"K\n")  # new keys, and the same asked of the client
                await openssl.stdout.readuntil(b">>> TLS 1.3, Handshake [length 0005], KeyUpdate")
                await asyncio.sleep(0.02)
            await openssl.stdout.readuntil(b"<<< TLS 1.3, Handshake [length 0005], KeyUpdate")
            openssl.stdin.write(b"hello\n")
            assert await listener.hear(6) == b"hello\n"
            link.write(b"a word under the new keys\n")
            await openssl.stdout.readuntil(b"a word under the new keys\n")
            link.abort()
    finally:
        with contextlib.suppress(ProcessLookupError):
            openssl.kill()
        await openssl.communicate()


async def test_no_record_is_left_unread_however_they_are_cut(pair: Pair) -> None:
    words = [b"a" * 2000, b""]

    def say(link: socket.socket) -> None:
        """Send two records in two parts; what the second part begins with looks like the head of a record as long."""
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        coming, going = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = server_context(pair).wrap_bio(coming, going, server_side=True)
        while True:
            coming.write(link.recv(65536))
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                link.sendall(going.read())
        link.sendall(going.read())
        time.sleep(0.1)
        tls.write(words[0])
        first = going.read()
        cut, rest = next(
            (cut, size)
            for cut in range(10, len(first) - 5)
            if 100 < (size := 5 + int.from_bytes(first[cut + 3 : cut + 5]) - (len(first) - cut)) < 16_000
        )
        words[1] = b"b" * (rest - 22)  # head, kind and tag of a record: RFC 8446, section 5.2
        tls.write(words[1])
        second = going.read()
        assert len(second) == rest
        link.sendall(first[:cut])
        time.sleep(0.1)
        link.sendall(first[cut:] + second)
        link.recv(1)

    listener = Listener()
    with in_thread(say) as port:
        link = await connect(known(pair), port, listener)
        try:
            async with asyncio.timeout(5):
                await listener.hear(len(words[0]) + 1)
        finally:
            link.abort()
            await listener.end()
    assert bytes(listener.heard) == b"".join(words)


def test_every_error_of_the_library_is_known() -> None:
    known_errors = {"SysCallError", "WantReadError", "WantWriteError", "WantX509LookupError", "ZeroReturnError"}
    assert {each.__name__ for each in SSL.Error.__subclasses__()} == known_errors
