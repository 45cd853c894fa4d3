"""A check tells the same whether its connection takes a session up or not, and a session never makes one fail."""

import asyncio
import contextlib
import ssl
from dataclasses import dataclass, field, replace

import pytest

from app.checked import Certificate, Checked, FailureKind
from app.login.check import Tools
from app.login.tls import open_contexts
from app.login.trace import Deadlines
from app.model import Encryption, Protocol, Stage
from tests.fakes.acts import crumble
from tests.fakes.scripted import Do, Peer, Step, serve
from tests.login.conftest import RealServers, try_login
from tests.login.test_check_faults import GOOD, POINTS, quick, script_until
from tests.login.test_resumption import server_context
from tests.real.certificates import Authority

__all__ = ["quick"]

SMTP, IMAP = Protocol.SMTP, Protocol.IMAP
SSL, STARTTLS = Encryption.SSL, Encryption.STARTTLS
WAYS = [(protocol, way) for protocol in (SMTP, IMAP) for way in (SSL, STARTTLS)]


@dataclass
class Met:
    """What a server saw: for each handshake, whether a session was taken up. `is_broken`: it refuses that."""

    taken_up: list[bool] = field(default_factory=list)
    is_broken: bool = False

    def note(self, link: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> int | None:
        self.taken_up.append(bool(link.session_reused))
        return ssl.ALERT_DESCRIPTION_INTERNAL_ERROR if link.session_reused and self.is_broken else None


@pytest.fixture
def met() -> Met:
    return Met()


@pytest.fixture
def context(authority: Authority, met: Met) -> ssl.SSLContext:
    context = server_context(authority.issue("resumed checks"))
    context.sni_callback = met.note
    return context


@pytest.fixture
def fresh(quick: Tools, authority: Authority) -> Tools:
    """Tools that know no server yet."""
    return replace(quick, tls=open_contexts(str(authority.ca_file)))


def good_script(protocol: Protocol, way: Encryption) -> list[Step]:
    steps, _ = script_until("auth", way, protocol, Do.CLOSE)
    more: list[Step] = [] if protocol is SMTP else ["LIST", b"TAG OK\r\n", "EXAMINE", b"TAG OK\r\n", "LOGOUT"]
    return [*steps[:-1], GOOD[protocol], *more]


def told(checked: Checked) -> object:
    """Return what a check told, less its timings."""
    return checked.failure, checked.reply, replace(checked.trace, timings={})


REFUSALS = {
    SMTP: [b"535 5.7.8 no\r\n", b"454 4.7.0 later\r\n", b"334 \r\n", b"what\r\n", b"535 " + b"x" * 40_000 + b"\r\n"],
    IMAP: [b"TAG NO [AUTHENTICATIONFAILED] no\r\n", b"* BYE busy\r\n", b"TAG BAD\r\n", b"x" * 40_000, b"+ \r\n" * 9],
}
ENDS = [
    (protocol, way, script_until(point, way, protocol, ending)[0], f"{ending} at {point}")
    for point, way, protocol in POINTS
    for ending in (Do.CLOSE, Do.RESET, Do.HANG)
    if way is not Encryption.NONE
] + [
    (protocol, way, [*script_until("auth", way, protocol, Do.HANG)[0][:-1], refusal, Do.HANG], repr(refusal[:20]))
    for protocol, way in WAYS
    for refusal in REFUSALS[protocol]
]


@pytest.mark.parametrize(("protocol", "way", "script", "label"), ENDS, ids=lambda value: str(value)[:40])
async def test_same_is_told_whoever_carries_the_connection(
    protocol: Protocol,
    way: Encryption,
    script: list[Step],
    label: str,
    fresh: Tools,
    authority: Authority,
    context: ssl.SSLContext,
    met: Met,
) -> None:
    steps, expected = good_script(protocol, way), [False, False]
    async with serve(steps, tls=context, is_implicit=way is SSL) as server:
        for _ in range(2):
            assert (await try_login(fresh, protocol, way, server.port)).failure is None
        steps[:] = script
        resumed = await try_login(fresh, protocol, way, server.port)
        is_in_clear = way is STARTTLS and Do.STARTTLS not in script
        if not is_in_clear:
            expected.append(True)
        if way is SSL and script[0] in {Do.CLOSE, Do.RESET}:
            expected.append(False)  # it may have been the session, so it was tried without
        assert met.taken_up == expected
        stranger = replace(fresh, tls=open_contexts(str(authority.ca_file)))
        plain = await try_login(stranger, protocol, way, server.port)
    assert met.taken_up == expected + [False] * (not is_in_clear)
    assert resumed.failure is not None
    assert told(resumed) == told(plain), label


@pytest.mark.parametrize(("protocol", "way"), WAYS)
async def test_good_login_is_good_in_crumbs_too(
    protocol: Protocol, way: Encryption, fresh: Tools, context: ssl.SSLContext, met: Met
) -> None:
    steps = good_script(protocol, way)
    async with serve(steps, tls=context, is_implicit=way is SSL) as server:
        ends = [await try_login(fresh, protocol, way, server.port) for _ in range(2)]
        steps[:] = [crumble(step) if isinstance(step, bytes) else step for step in steps]
        ends += [await try_login(fresh, protocol, way, server.port)]
    assert [end.failure for end in ends] == [None] * 3
    assert told(ends[0]) == told(ends[1]) == told(ends[2])
    assert met.taken_up == [False, False, True]


@pytest.mark.parametrize(("protocol", "way"), WAYS)
async def test_a_server_that_breaks_off_when_a_session_is_taken_up_is_called_again_without(
    protocol: Protocol, way: Encryption, fresh: Tools, context: ssl.SSLContext, met: Met
) -> None:
    met.is_broken = True
    async with serve(good_script(protocol, way), tls=context, is_implicit=way is SSL) as server:
        ends = [await try_login(fresh, protocol, way, server.port) for _ in range(4)]
    assert [end.failure for end in ends] == [None] * 4
    assert met.taken_up == [False, False, True, False, False]


async def break_off(peer: Peer) -> None:
    """Hang up on whoever took a session up: as some do that have seen the client's last word of the handshake."""
    if peer.writer.get_extra_info("ssl_object").session_reused:
        raise ConnectionAbortedError


@pytest.mark.parametrize(("protocol", "way"), WAYS)
async def test_a_server_that_breaks_off_just_after_the_handshake_too(
    protocol: Protocol, way: Encryption, fresh: Tools, context: ssl.SSLContext, met: Met
) -> None:
    steps = good_script(protocol, way)
    steps.insert(steps.index(Do.STARTTLS) + 1 if way is STARTTLS else 0, break_off)
    async with serve(steps, tls=context, is_implicit=way is SSL) as server:
        ends = [await try_login(fresh, protocol, way, server.port) for _ in range(4)]
    assert [end.failure for end in ends] == [None] * 4
    assert met.taken_up == [False, False, True, False, False]


async def test_nothing_is_told_of_the_first_connection_where_the_second_says_nothing(
    fresh: Tools, context: ssl.SSLContext
) -> None:
    async def leave(peer: Peer) -> None:
        """Hang up on a session that was taken up, and on whoever comes after."""
        if peer.writer.get_extra_info("ssl_object").session_reused:
            steps[:] = [Do.CLOSE]
            raise ConnectionAbortedError

    steps = good_script(SMTP, STARTTLS)
    steps.insert(steps.index(Do.STARTTLS) + 1, leave)
    async with serve(steps, tls=context) as server:
        for _ in range(2):
            assert (await try_login(fresh, SMTP, STARTTLS, server.port)).failure is None
        checked = await try_login(fresh, SMTP, STARTTLS, server.port)
        assert server.calls == 4
    assert checked.failure is not None
    assert (checked.failure.kind, checked.failure.stage) == (FailureKind.CLOSED, Stage.GREET)
    seen = checked.trace
    assert (seen.greeting, seen.capabilities, seen.tls_version, seen.certificate) == ("", (), "", Certificate())


@pytest.mark.parametrize(("protocol", "way"), WAYS)
async def test_new_certificate_is_verified_like_the_old(
    protocol: Protocol, way: Encryption, fresh: Tools, authority: Authority, context: ssl.SSLContext
) -> None:
    steps = good_script(protocol, way)
    async with serve(steps, tls=context, is_implicit=way is SSL) as server:
        assert (await try_login(fresh, protocol, way, server.port)).failure is None
        renewed = authority.issue("renewed", "localhost", "renewed.example.com")
        context.load_cert_chain(renewed.certificate, renewed.key)
        checked = await try_login(fresh, protocol, way, server.port)
        assert checked.failure is None
        assert checked.trace.certificate.names == ("localhost", "renewed.example.com")
        stranger = authority.issue("self-signed now", is_self_signed=True)
        context.load_cert_chain(stranger.certificate, stranger.key)
        checked = await try_login(fresh, protocol, way, server.port)
    assert checked.failure is not None
    assert (checked.failure.kind, checked.failure.stage) == (FailureKind.CERTIFICATE_UNTRUSTED, Stage.TLS)
    assert not checked.trace.sent_credentials


async def test_server_that_falls_silent_is_not_offered_a_session_again(
    fresh: Tools, context: ssl.SSLContext, met: Met
) -> None:
    silent = asyncio.Event()

    async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                if not silent.is_set():
                    writer.write(data)
        writer.close()

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Stand before the server, and swallow what comes once it is to be silent."""
        far, near = await asyncio.open_connection("127.0.0.1", server.port)
        await asyncio.gather(pipe(reader, near), pipe(far, writer))

    impatient = replace(fresh, deadlines=replace(Deadlines(), tls=0.3))
    async with serve(good_script(IMAP, SSL), tls=context, is_implicit=True) as server:
        front = await asyncio.start_server(forward, "127.0.0.1", 0)
        port = front.sockets[0].getsockname()[1]
        for _ in range(2):
            assert (await try_login(impatient, IMAP, SSL, port)).failure is None
        silent.set()
        checked = await try_login(impatient, IMAP, SSL, port)
        assert checked.failure is not None
        assert (checked.failure.kind, checked.failure.stage) == (FailureKind.TIMEOUT, Stage.TLS)
        silent.clear()
        assert (await try_login(impatient, IMAP, SSL, port)).failure is None
        assert met.taken_up == [False, False, False]
        front.close()
        await asyncio.sleep(0.05)


@pytest.mark.parametrize(("protocol", "way"), WAYS)
async def test_real_servers_take_sessions_up(
    protocol: Protocol, way: Encryption, real: RealServers, tools: Tools, authority: Authority
) -> None:
    fresh, port = replace(tools, tls=open_contexts(str(authority.ca_file))), real.port(protocol, way)
    before = real.failed_logins(protocol).get("sales@example.com", 0)
    good = [await try_login(fresh, protocol, way, port) for _ in range(4)]
    assert [end.failure for end in good] == [None] * 4
    known = fresh.tls.known.recall("localhost", port)
    assert known is not None
    assert known.session is not None
    wrong = await try_login(fresh, protocol, way, port, "sales@example.com", password="wrong")
    assert wrong.failure is not None
    assert wrong.failure.stage is Stage.AUTH
    assert real.failed_logins(protocol)["sales@example.com"] == before + 1
