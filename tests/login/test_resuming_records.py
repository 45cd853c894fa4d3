"""The transport that takes sessions up reads what a server sends however it is cut, and answers what it asks."""

import asyncio
import contextlib
import shutil
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from OpenSSL import SSL

from app.login.resume import TICKET_READS, ResumingLink
from tests.login.test_resuming_link import Listener, connect, context, known, pair
from tests.login.test_resumption import server_context
from tests.real.certificates import Pair

__all__ = ["context", "pair"]


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
