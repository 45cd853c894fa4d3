"""A server's last TLS session is taken up again, by the name that was verified, and for a while only."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import cast

import pytest

from app.login import known
from app.login.certificate import read_facts
from app.login.connect import take_over
from app.login.resume import ResumingError, ResumingLink
from app.login.tls import TlsContexts, open_contexts
from app.model import Protocol
from tests.real.certificates import Authority, Pair

NAME = "mail.example.com"


def server_context(pair: Pair) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    return context


@contextlib.asynccontextmanager
async def greet_with(context: ssl.SSLContext, port: int = 0) -> AsyncIterator[int]:
    """Run a server that greets under TLS, and yield its port."""

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello\n")
        with contextlib.suppress(OSError):
            await reader.read()
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", port, ssl=context)
    yield server.sockets[0].getsockname()[1]
    server.close()


@contextlib.asynccontextmanager
async def greeting(authority: Authority, label: str, *names: str) -> AsyncIterator[int]:
    async with greet_with(server_context(authority.issue(label, *names))) as port:
        yield port


class Caller(asyncio.Protocol):
    """Waits for one line."""

    def __init__(self) -> None:
        self.heard: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self.link: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.link = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self.heard.set_result(data)


async def meet(contexts: TlsContexts, port: int, name: str) -> asyncio.Transport:
    """Connect as a check does, wait for the greeting and hang up."""
    loop, caller = asyncio.get_running_loop(), Caller()
    sock = socket.socket()
    sock.setblocking(False)
    await loop.sock_connect(sock, ("127.0.0.1", port))
    await take_over(sock, caller, contexts.verify[Protocol.IMAP], name, contexts.known.recall(name, port))
    assert await caller.heard == b"hello\n"
    assert caller.link is not None
    contexts.known.learn(name, port, caller.link.get_extra_info("ssl_object"))
    caller.link.abort()
    return caller.link


async def call(contexts: TlsContexts, port: int, name: str) -> bool:
    """Do the same and tell whether a session was taken up."""
    link = await meet(contexts, port, name)
    return isinstance(link, ResumingLink) and link.session_reused


@pytest.fixture
def contexts(authority: Authority) -> TlsContexts:
    return open_contexts(str(authority.ca_file))


async def test_session_is_taken_up_once_there_is_one(authority: Authority, contexts: TlsContexts) -> None:
    async with greeting(authority, "resumed", NAME) as port:
        # The first is verified, the second shows the same certificate and leaves a session.
        assert [await call(contexts, port, NAME) for _ in range(4)] == [False, False, True, True]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_report_is_told_the_same_of_every_connection(
    authority: Authority, contexts: TlsContexts, version: ssl.TLSVersion
) -> None:
    context = server_context(authority.issue("facts", NAME))
    context.minimum_version = context.maximum_version = version
    async with greet_with(context) as port:
        first, *others = [read_facts(await meet(contexts, port, NAME)) for _ in range(4)]
        assert await call(contexts, port, NAME)
    assert first[0] == version.name.replace("_", ".")
    assert first[1].names == (NAME,)
    assert first[1].expires_at is not None
    assert others == [first] * 3


async def test_least_costly_cipher_is_asked_for_first(authority: Authority, contexts: TlsContexts) -> None:
    found: list[str] = []

    async def note(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        found.append(writer.get_extra_info("cipher")[0])
        writer.write(b"hello\n")
        with contextlib.suppress(OSError):
            await reader.read()
        writer.close()

    context = server_context(authority.issue("cipher", NAME))
    context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE  # as Dovecot and Postfix are
    server = await asyncio.start_server(note, "127.0.0.1", 0, ssl=context)
    for _ in range(3):
        await call(contexts, server.sockets[0].getsockname()[1], NAME)
    server.close()
    assert found[1:] == ["TLS_AES_128_GCM_SHA256"] * 2


async def test_another_name_is_verified_anew_on_the_same_server(authority: Authority, contexts: TlsContexts) -> None:
    async with greeting(authority, "two names", NAME) as port:
        for _ in range(3):
            await call(contexts, port, NAME)
        with pytest.raises(ssl.SSLCertVerificationError):
            await call(contexts, port, "imap.example.com")


async def test_another_port_is_verified_anew_under_the_same_name(authority: Authority, contexts: TlsContexts) -> None:
    stranger = authority.issue("stranger", NAME, is_self_signed=True)
    async with greeting(authority, "apart", NAME) as port, greet_with(server_context(stranger)) as other:
        for _ in range(3):
            await call(contexts, port, NAME)
        with pytest.raises(ssl.SSLCertVerificationError):
            await call(contexts, other, NAME)


@pytest.mark.parametrize("calls_before", [1, 3])
@pytest.mark.parametrize("is_trusted", [True, False])
async def test_another_certificate_than_the_verified_one_is_refused(
    authority: Authority, contexts: TlsContexts, is_trusted: bool, calls_before: int
) -> None:
    async with greeting(authority, "verified", NAME) as port:
        for _ in range(calls_before):
            await call(contexts, port, NAME)
    assert contexts.known.recall(NAME, port)
    other = authority.issue("other", NAME, is_self_signed=not is_trusted)
    async with greet_with(server_context(other), port):
        with pytest.raises(ResumingError) as caught:
            await call(contexts, port, NAME)
    assert isinstance(caught.value.__cause__, ssl.SSLError)
    assert caught.value.__cause__.reason == "certificate verify failed"


async def test_chain_above_the_certificate_does_not_matter_then(authority: Authority, contexts: TlsContexts) -> None:
    pair = authority.issue("chain", NAME)
    pair.certificate.write_bytes(pair.certificate.read_bytes() + authority.ca_file.read_bytes())
    async with greet_with(server_context(pair)) as port:
        assert [await call(contexts, port, NAME) for _ in range(3)] == [False, False, True]


@pytest.mark.parametrize(("name", "told"), [(NAME, NAME), ("127.0.0.1", None)])
async def test_server_is_told_its_name_and_no_address(
    authority: Authority, contexts: TlsContexts, name: str, told: str | None
) -> None:
    def note(_link: ssl.SSLObject, name: str | None, _context: ssl.SSLContext) -> None:
        heard.append(name)

    heard: list[str | None] = []
    context = server_context(authority.issue("told", name))
    context.sni_callback = note
    async with greet_with(context) as port:
        for _ in range(3):
            await call(contexts, port, name)
    assert heard == [told] * 3


async def test_what_is_known_grows_old(
    authority: Authority, contexts: TlsContexts, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with greeting(authority, "old", NAME) as port:
        monkeypatch.setattr(known, "KEEP_SECONDS", 1.0)
        assert not await call(contexts, port, NAME)
        await asyncio.sleep(0.6)
        # Not longer because it is used and a session kept: the certificate is looked at again.
        assert [await call(contexts, port, NAME) for _ in range(2)] == [False, True]
        await asyncio.sleep(0.5)
        assert contexts.known.recall(NAME, port) is None
        assert not await call(contexts, port, NAME)


async def test_servers_beyond_count_do_not_fill_the_memory(
    authority: Authority, contexts: TlsContexts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known, "MOST_KNOWN", 1)
    async with greeting(authority, "many", "a.example.com", "b.example.com") as port:
        for name in ("a.example.com", "b.example.com"):
            await call(contexts, port, name)
        assert contexts.known.recall("b.example.com", port)
        assert not contexts.known.recall("a.example.com", port)


async def test_new_session_is_kept_when_the_old_is_not_taken_up(authority: Authority, contexts: TlsContexts) -> None:
    pair = authority.issue("restarted", NAME)
    async with greet_with(server_context(pair)) as port:
        for _ in range(3):
            await call(contexts, port, NAME)
    async with greet_with(server_context(pair), port):
        assert [await call(contexts, port, NAME) for _ in range(3)] == [False, True, True]


async def test_a_server_without_sessions_is_known_all_the_same(authority: Authority, contexts: TlsContexts) -> None:
    context = server_context(authority.issue("without", NAME))
    context.num_tickets = 0
    async with greet_with(context) as port:
        assert [await call(contexts, port, NAME) for _ in range(4)] == [False] * 4
        assert contexts.known.recall(NAME, port)


async def test_those_who_came_before_the_first_session_do_not_spoil_it(
    authority: Authority, contexts: TlsContexts
) -> None:
    async with greeting(authority, "at once", NAME) as port:
        await asyncio.gather(*(call(contexts, port, NAME) for _ in range(5)))
        await asyncio.gather(*(call(contexts, port, NAME) for _ in range(5)))
        assert await call(contexts, port, NAME)


async def test_server_rests_and_is_verified_anew_then(authority: Authority, contexts: TlsContexts) -> None:
    async with greeting(authority, "rests", NAME) as port:
        await call(contexts, port, NAME)
        before = contexts.known.recall(NAME, port)
        assert before
        await call(contexts, port, NAME)
        contexts.known.rest(NAME, port, before, 0.3)
        await call(contexts, port, NAME)
        assert contexts.known.recall(NAME, port) is None
        await asyncio.sleep(0.3)
        await call(contexts, port, NAME)
        assert contexts.known.recall(NAME, port)
        # A check that began before fails late; the server has another certificate by now.
        contexts.known.rest(NAME, port, replace(before, encoded=b"another"), 60)
        assert contexts.known.recall(NAME, port)
