"""A server's last TLS session is taken up again, by the name that was verified, and for a while only."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from app.login import tls
from app.login.certificate import read_facts
from app.login.check import Tools
from app.login.tls import ResumingContext, open_contexts
from app.model import Encryption, Protocol
from tests.fakes.scripted import Step, serve
from tests.login.conftest import try_login
from tests.real.certificates import Authority


@contextlib.asynccontextmanager
async def greeting(authority: Authority, label: str, *names: str) -> AsyncIterator[int]:
    pair = authority.issue(label, *names)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello\n")
        with contextlib.suppress(OSError):
            await reader.read()
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0, ssl=context)
    yield server.sockets[0].getsockname()[1]
    server.close()


async def call(context: ResumingContext, port: int, name: str) -> tuple[bool, tuple[str, ...]]:
    """Return whether the session was taken up, and the names that the certificate is for."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=name)
    await reader.readline()
    link = writer.get_extra_info("ssl_object")
    context.keep_session(link)
    _, certificate = read_facts(writer.transport)
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return bool(link.session_reused), certificate.names


async def test_the_second_connection_takes_up_the_session_of_the_first(authority: Authority) -> None:
    context = open_contexts(str(authority.ca_file)).verify[Protocol.IMAP]
    async with greeting(authority, "resumed", "mail.example.com") as port:
        first, second, third = [await call(context, port, "mail.example.com") for _ in range(3)]
    assert [first[0], second[0], third[0]] == [False, True, True]
    assert first[1] == second[1] == ("mail.example.com",)


async def test_another_name_is_verified_anew_on_the_same_server(authority: Authority) -> None:
    context = open_contexts(str(authority.ca_file)).verify[Protocol.IMAP]
    async with greeting(authority, "two names", "mail.example.com") as port:
        await call(context, port, "mail.example.com")
        with pytest.raises(ssl.SSLCertVerificationError):
            await call(context, port, "imap.example.com")


async def test_protocols_share_no_sessions(authority: Authority) -> None:
    contexts = open_contexts(str(authority.ca_file)).verify
    async with greeting(authority, "apart", "mail.example.com") as port:
        assert not (await call(contexts[Protocol.IMAP], port, "mail.example.com"))[0]
        assert not (await call(contexts[Protocol.SMTP], port, "mail.example.com"))[0]


async def test_a_session_grows_old(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    context = open_contexts(str(authority.ca_file)).verify[Protocol.IMAP]
    async with greeting(authority, "old", "mail.example.com") as port:
        monkeypatch.setattr(tls, "KEEP_SESSION_SECONDS", -1.0)
        assert not (await call(context, port, "mail.example.com"))[0]
        assert not (await call(context, port, "mail.example.com"))[0]


async def test_servers_beyond_count_do_not_fill_the_memory(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls, "MOST_SESSIONS", 1)
    context = open_contexts(str(authority.ca_file)).verify[Protocol.IMAP]
    async with greeting(authority, "many", "a.example.com", "b.example.com") as port:
        for name in ("a.example.com", "b.example.com"):
            assert not (await call(context, port, name))[0]
        assert (await call(context, port, "b.example.com"))[0]
        assert not (await call(context, port, "a.example.com"))[0]


async def test_a_server_that_takes_no_session_up_is_left_in_peace(authority: Authority) -> None:
    context = open_contexts(str(authority.ca_file)).verify[Protocol.IMAP]
    async with greeting(authority, "before", "mail.example.com") as port:
        await call(context, port, "mail.example.com")
    async with greeting(authority, "after", "mail.example.com") as port:
        # Another server under the same name: it cannot take up the session, and none is offered for a while.
        assert [(await call(context, port, "mail.example.com"))[0] for _ in range(3)] == [False] * 3


async def test_those_who_came_before_the_first_session_do_not_spoil_it(authority: Authority) -> None:
    context = open_contexts(str(authority.ca_file)).verify[Protocol.IMAP]
    async with greeting(authority, "at once", "mail.example.com") as port:
        await asyncio.gather(*(call(context, port, "mail.example.com") for _ in range(5)))
        assert (await call(context, port, "mail.example.com"))[0]


IMAP: list[Step] = [
    *(b"* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] ready\r\n", "AUTHENTICATE PLAIN", b"TAG OK in\r\n"),
    *("LIST", b"TAG OK listed\r\n", "EXAMINE", b"TAG OK read\r\n", "LOGOUT"),
]


async def test_a_server_that_breaks_off_when_a_session_is_taken_up_is_called_again_without(
    authority: Authority, tools: Tools
) -> None:
    def refuse(link: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> int | None:
        met.append(bool(link.session_reused))
        return ssl.ALERT_DESCRIPTION_INTERNAL_ERROR if link.session_reused else None

    met: list[bool] = []
    pair = authority.issue("breaks off", "localhost")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    context.sni_callback = refuse
    fresh = replace(tools, tls=open_contexts(str(authority.ca_file)))
    async with serve(IMAP, tls=context, is_implicit=True) as server:
        ends = [await try_login(fresh, Protocol.IMAP, Encryption.SSL, server.port) for _ in range(3)]
    assert [end.failure for end in ends] == [None] * 3
    assert met == [False, True, False, False]
