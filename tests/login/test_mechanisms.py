"""Every way to hand over a credential, against servers that offer that way and no better one."""

import base64
import functools
from collections.abc import Iterator
from dataclasses import replace

import pytest

from app.checked import FailureKind
from app.login.check import Tools
from app.login.trace import Deadlines
from app.model import Encryption, Mechanism, Protocol, Stage
from tests.fakes.relay import serve_rewritten
from tests.fakes.scripted import Do, Step, serve
from tests.login.conftest import PASSWORD, TOKEN, USERS, RealServers, try_login
from tests.real import postfix, process
from tests.real.certificates import Authority

SMTP, IMAP = Protocol.SMTP, Protocol.IMAP
NONE = Encryption.NONE


@pytest.fixture(scope="session")
def poorer(authority: Authority) -> Iterator[dict[Mechanism, postfix.Handle]]:
    """Postfix that offers LOGIN beside CRAM-MD5, and one that offers CRAM-MD5 alone."""
    pair = authority.issue("poorer")
    offers = {Mechanism.LOGIN: "login cram-md5", Mechanism.CRAM_MD5: "cram-md5"}
    started: dict[Mechanism, postfix.Handle] = {}
    with process.open_folder("login-mechanisms") as folder:
        try:
            for mechanism, words in offers.items():
                started[mechanism] = postfix.start(folder / mechanism, USERS, pair, mechanisms=words)
            yield started
        except process.UnavailableError as reason:
            pytest.skip(str(reason))
        finally:
            process.stop(*[server for handle in started.values() for server in (handle.server, handle.auth.server)])


@pytest.mark.parametrize("username", USERS)
@pytest.mark.parametrize("mechanism", [Mechanism.LOGIN, Mechanism.CRAM_MD5])
async def test_smtp_uses_what_is_offered(
    mechanism: Mechanism, username: str, poorer: dict[Mechanism, postfix.Handle], tools: Tools
) -> None:
    port = poorer[mechanism].ssl
    checked = await try_login(tools, SMTP, Encryption.SSL, port, username, password=USERS[username])
    assert checked.failure is None
    assert checked.trace.mechanism is mechanism


@pytest.mark.parametrize("mechanism", [Mechanism.LOGIN, Mechanism.CRAM_MD5])
async def test_wrong_password_is_sent_once_by_any_mechanism(
    mechanism: Mechanism, poorer: dict[Mechanism, postfix.Handle], tools: Tools
) -> None:
    server = poorer[mechanism]
    sessions, before = await server.count_refusals()
    checked = await try_login(tools, SMTP, Encryption.STARTTLS, server.starttls, password="wrong")
    assert checked.failure is not None
    assert checked.failure.reply is not None
    assert checked.failure.reply.code == 535
    assert await server.count_refusals(sessions) == (sessions + 1, before + 1)


@pytest.mark.parametrize("username", USERS)
async def test_imap_login_command_quotes_what_needs_it(username: str, real: RealServers, tools: Tools) -> None:
    async with serve_rewritten(real.imap.starttls, b"AUTH=PLAIN", b"AUTH=OTHER") as port:
        checked = await try_login(tools, IMAP, NONE, port, username, password=USERS[username])
    assert checked.failure is None
    assert checked.trace.mechanism is Mechanism.LOGIN_COMMAND


@pytest.mark.parametrize("username", USERS)
async def test_imap_waits_for_leave_where_there_is_no_initial_response(
    username: str, real: RealServers, tools: Tools
) -> None:
    async with serve_rewritten(real.imap.starttls, b"SASL-IR", b"SASL-XX") as port:
        checked = await try_login(tools, IMAP, NONE, port, username, password=USERS[username])
    assert checked.failure is None
    assert checked.trace.mechanism is Mechanism.PLAIN


@pytest.mark.parametrize("is_good", [True, False])
@pytest.mark.parametrize("protocol", [SMTP, IMAP])
async def test_oauthbearer_where_there_is_no_xoauth2(
    protocol: Protocol, is_good: bool, real: RealServers, tools: Tools
) -> None:
    server = real.port(protocol, NONE)
    async with serve_rewritten(server, b"XOAUTH2", b"XOTHER2") as port:
        checked = await try_login(tools, protocol, NONE, port, password=TOKEN if is_good else "stale", is_token=True)
    assert checked.trace.mechanism is Mechanism.OAUTHBEARER
    assert (checked.failure is None) is is_good
    if checked.failure is not None:
        assert checked.failure.kind is FailureKind.REPLY
        assert checked.failure.reply is not None
        assert '"status"' in checked.failure.reply.text


@pytest.mark.parametrize("protocol", [SMTP, IMAP])
async def test_token_is_not_sent_as_a_password(protocol: Protocol, tools: Tools) -> None:
    steps: dict[Protocol, list[Step]] = {
        SMTP: [b"220 mail\r\n", "EHLO", b"250-mail\r\n250 AUTH PLAIN LOGIN\r\n", "QUIT"],
        IMAP: [b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] hi\r\n", "LOGOUT"],
    }
    async with serve(steps[protocol]) as server:
        checked = await try_login(tools, protocol, NONE, server.port, password=TOKEN, is_token=True)
    assert checked.failure is not None
    assert (checked.failure.kind, checked.failure.stage) == (FailureKind.LOGIN_MISSING, Stage.AUTH)
    assert not checked.trace.sent_credentials


SMTP_HELLO: list[Step] = [b"220 mail\r\n", "EHLO"]
encoded = functools.cache(lambda text: base64.b64encode(text.encode()).decode())


async def test_smtp_login_that_asks_for_the_name_again(tools: Tools) -> None:
    steps: list[Step] = [*SMTP_HELLO, b"250-mail\r\n250 AUTH LOGIN\r\n", "AUTH LOGIN", b"334 VXNlcm5hbWU6\r\n"]
    steps += [encoded("info@example.com"), b"334 UGFzc3dvcmQ6\r\n", encoded(PASSWORD), b"235 2.7.0 in\r\n"]
    async with serve([*steps, "QUIT", b"221 bye\r\n"]) as server:
        checked = await try_login(tools, SMTP, NONE, server.port)
    assert checked.failure is None


async def test_smtp_plain_that_ignores_the_initial_response(tools: Tools) -> None:
    steps: list[Step] = [*SMTP_HELLO, b"250-mail\r\n250 AUTH PLAIN\r\n", "AUTH PLAIN", b"334 \r\n"]
    steps += [encoded(f"\0info@example.com\0{PASSWORD}"), b"235 2.7.0 in\r\n", "QUIT", b"221 bye\r\n"]
    async with serve(steps) as server:
        checked = await try_login(tools, SMTP, NONE, server.port)
    assert checked.failure is None


@pytest.mark.parametrize("is_good", [True, False])
async def test_token_is_sent_again_to_a_server_that_asks_though_it_came_with_the_command(
    is_good: bool, tools: Tools
) -> None:
    token = encoded(f"user=info@example.com\1auth=Bearer {TOKEN}\1\1")
    why = encoded('{"status":"400"}').encode()
    smtp: list[Step] = [*SMTP_HELLO, b"250-mail\r\n250 AUTH XOAUTH2\r\n", "AUTH XOAUTH2", b"334 \r\n", token]
    smtp += [b"235 in\r\n"] if is_good else [b"334 " + why + b"\r\n", "", b"535 5.7.8 no\r\n"]
    async with serve([*smtp, "QUIT", b"221 bye\r\n"]) as server:
        over_smtp = await try_login(tools, SMTP, NONE, server.port, password=TOKEN, is_token=True)
    imap: list[Step] = [b"* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=XOAUTH2] hi\r\n", "AUTHENTICATE", b"+ \r\n", token]
    imap += [b"TAG OK in\r\n", "LIST", b"TAG OK\r\n", "EXAMINE", b"TAG OK\r\n"] if is_good else []
    imap += [] if is_good else [b"+ " + why + b"\r\n", "", b"TAG NO [AUTHENTICATIONFAILED] no\r\n"]
    async with serve([*imap, "LOGOUT"]) as server:
        over_imap = await try_login(tools, IMAP, NONE, server.port, password=TOKEN, is_token=True)
    for checked in (over_smtp, over_imap):
        assert (checked.failure is None) is is_good
        if checked.failure is not None:
            assert checked.failure.kind is FailureKind.REPLY
            assert checked.failure.reply is not None
            assert '"status":"400"' in checked.failure.reply.text


async def test_a_password_is_sent_again_once_to_a_server_that_keeps_asking(tools: Tools) -> None:
    blob = encoded(f"\0info@example.com\0{PASSWORD}")
    hello = b"* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] hi\r\n"
    no = b"TAG NO [AUTHENTICATIONFAILED] no\r\n"
    async with serve([hello, "AUTHENTICATE", b"+ \r\n", blob, b"+ more\r\n", "", no, "LOGOUT"]) as server:
        await try_login(tools, IMAP, NONE, server.port)
    assert sum(blob.encode() in line for line in server.lines) == 2
    assert b"\r\n" in server.lines


@pytest.mark.parametrize("offer", ["PLAIN", "LOGIN", "CRAM-MD5", "XOAUTH2", "OAUTHBEARER"])
async def test_challenges_without_end_are_not_answered_for_ever(offer: str, tools: Tools) -> None:
    hello = f"250-mail\r\n250 AUTH {offer}\r\n".encode()
    more: list[Step] = [b"334 PDEyMzRAbWFpbD4=\r\n", Do.READ] * 6
    async with serve([*SMTP_HELLO, hello, "AUTH", *more]) as server:
        checked = await try_login(tools, SMTP, NONE, server.port, is_token="OAUTH" in offer)
    assert checked.failure is not None
    assert (checked.failure.kind, checked.failure.stage) == (FailureKind.PROTOCOL, Stage.AUTH)
    assert checked.trace.sent_credentials


async def test_imap_challenges_without_end_are_not_answered_for_ever(tools: Tools) -> None:
    hello = b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] hi\r\n"
    more: list[Step] = [b"+ \r\n", Do.READ] * 9
    async with serve([hello, "AUTHENTICATE", *more]) as server:
        checked = await try_login(tools, IMAP, NONE, server.port)
    assert checked.failure is not None
    assert (checked.failure.kind, checked.failure.stage) == (FailureKind.PROTOCOL, Stage.AUTH)


async def test_sender_probe_asks_and_takes_back(authority: Authority, tools: Tools) -> None:
    probing = replace(tools, probe_sender=True, deadlines=Deadlines())
    hello = b"250-mail\r\n250 AUTH PLAIN\r\n"
    steps: list[Step] = [*SMTP_HELLO, hello, "AUTH", b"235 in\r\n", "MAIL FROM:<info@example.com>"]
    async with serve([*steps, b"250 ok\r\n", "RSET", b"250 ok\r\n", "QUIT", b"221 bye\r\n"]) as server:
        assert (await try_login(probing, SMTP, NONE, server.port)).failure is None
    async with serve([*steps, b"553 5.7.1 not yours\r\n", "QUIT", b"221 bye\r\n"]) as server:
        checked = await try_login(probing, SMTP, NONE, server.port)
    assert checked.failure is not None
    assert (checked.failure.kind, checked.failure.stage) == (FailureKind.REPLY, Stage.SELECT)
    assert checked.failure.reply is not None
    assert checked.failure.reply.code == 553
