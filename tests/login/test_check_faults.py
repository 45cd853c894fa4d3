"""Servers that are broken, silent, wrong or gone: each has its failure, and leaves nothing behind."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app.checked import Checked, FailureKind
from app.login.check import Tools
from app.login.trace import Deadlines
from app.model import Encryption, Protocol, Stage
from tests.fakes.acts import shake
from tests.fakes.scripted import Do, Step, serve
from tests.login.conftest import PASSWORD, try_login
from tests.real.certificates import Authority, Pair

K = FailureKind
SMTP, IMAP = Protocol.SMTP, Protocol.IMAP
SSL, STARTTLS, NONE = Encryption.SSL, Encryption.STARTTLS, Encryption.NONE

SMTP_HELLO: list[Step] = [b"220 mail ESMTP\r\n", "EHLO", b"250-mail\r\n250-STARTTLS\r\n250 AUTH PLAIN LOGIN\r\n"]
IMAP_HELLO: list[Step] = [b"* OK [CAPABILITY IMAP4rev1 SASL-IR STARTTLS AUTH=PLAIN] hi\r\n"]
OPEN = {SMTP: SMTP_HELLO, IMAP: IMAP_HELLO}
AUTH = {SMTP: "AUTH PLAIN", IMAP: "AUTHENTICATE PLAIN"}
GOOD = {SMTP: b"235 2.7.0 ok\r\n", IMAP: b"TAG OK done\r\n"}


@pytest.fixture
def quick(tools: Tools) -> Tools:
    """Tools with short deadlines."""
    deadlines = Deadlines(total=3.0, resolve=0.5, connect=0.5, tls=0.5, greet=0.5, auth=0.5, select=0.5)
    return replace(tools, deadlines=deadlines)


@pytest.fixture(autouse=True)
async def calm() -> AsyncIterator[None]:
    """Nothing in the loop's exception handler, no task and no open file left."""
    loop = asyncio.get_running_loop()
    complaints: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: complaints.append(context))
    tasks = asyncio.all_tasks()
    yield
    for _ in range(50):
        await asyncio.sleep(0.01)
        if asyncio.all_tasks() <= tasks | {asyncio.current_task()}:
            break
    assert asyncio.all_tasks() <= tasks | {asyncio.current_task()}
    loop.set_exception_handler(None)
    assert complaints == []


@pytest.fixture(scope="session")
def good_pair(authority: Authority) -> Pair:
    return authority.issue("scripted")


def context_of(pair: Pair) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    return context


@pytest.fixture(scope="session")
def server_tls(good_pair: Pair) -> ssl.SSLContext:
    return context_of(good_pair)


def expect(checked: Checked, kind: FailureKind, stage: Stage) -> None:
    assert checked.failure is not None
    assert (checked.failure.kind, checked.failure.stage) == (kind, stage), checked.failure


POINTS = [
    (point, way, protocol)
    for point in ("greeting", "hello", "starttls", "auth", "select")
    for way in Encryption
    for protocol in Protocol
    if not (point == "starttls" and way is not STARTTLS)
    if not (point == "select" and protocol is SMTP)  # SMTP is done after the login
]


@pytest.mark.parametrize("ending", [Do.CLOSE, Do.RESET, Do.HANG])
@pytest.mark.parametrize("where", POINTS, ids=str)
async def test_connection_that_ends_at_any_point(
    where: tuple[str, Encryption, Protocol], ending: Do, quick: Tools, server_tls: ssl.SSLContext
) -> None:
    point, way, protocol = where
    steps, stage = script_until(point, way, protocol, ending)
    async with serve(steps, tls=server_tls, is_implicit=way is SSL) as server:
        checked = await try_login(quick, protocol, way, server.port)
    kinds = {Do.CLOSE: {K.CLOSED, K.RESET}, Do.RESET: {K.CLOSED, K.RESET}, Do.HANG: {K.TIMEOUT}}[ending]
    assert checked.failure is not None
    assert checked.failure.stage is stage
    assert checked.failure.kind in kinds
    assert checked.trace.sent_credentials is (point in {"auth", "select"})
    assert checked.trace.address == "127.0.0.1"


def script_until(point: str, way: Encryption, protocol: Protocol, ending: Do) -> tuple[list[Step], Stage]:
    """Return a script that goes well until `point`."""
    if point == "greeting":
        return [ending], Stage.GREET
    if point == "hello":
        if protocol is SMTP:
            return [b"220 mail ESMTP\r\n", "EHLO", ending], Stage.GREET
        return [b"* OK hi\r\n", "CAPABILITY", ending], Stage.GREET
    steps = list(OPEN[protocol])
    if way is STARTTLS:
        if point == "starttls":
            return [*steps, "STARTTLS", b"220 go\r\n" if protocol is SMTP else b"TAG OK go\r\n", ending], Stage.TLS
        steps += ["STARTTLS", b"220 go\r\n" if protocol is SMTP else b"TAG OK go\r\n", Do.STARTTLS]
        if protocol is SMTP:
            steps += SMTP_HELLO[1:]
        else:
            steps += ["CAPABILITY", b"* CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN\r\nTAG OK\r\n"]
    steps.append(AUTH[protocol])
    if point == "auth":
        return [*steps, ending], Stage.AUTH
    return [*steps, GOOD[protocol], "LIST", ending], Stage.SELECT


@pytest.mark.parametrize("protocol", [SMTP, IMAP])
async def test_plain_port_spoken_tls(protocol: Protocol, quick: Tools) -> None:
    async with serve([*OPEN[protocol][:1], Do.HANG]) as server:
        expect(await try_login(quick, protocol, SSL, server.port), K.TLS_NOT_SPOKEN, Stage.TLS)


@pytest.mark.parametrize("protocol", [SMTP, IMAP])
async def test_tls_port_spoken_plain(protocol: Protocol, quick: Tools, server_tls: ssl.SSLContext) -> None:
    async with serve([Do.HANG], tls=server_tls, is_implicit=True) as server:
        expect(await try_login(quick, protocol, STARTTLS, server.port), K.TIMEOUT, Stage.GREET)


@pytest.mark.parametrize("protocol", [SMTP, IMAP])
async def test_handshake_that_never_ends(protocol: Protocol, quick: Tools) -> None:
    async with serve([Do.HANG]) as server:
        expect(await try_login(quick, protocol, SSL, server.port), K.TIMEOUT, Stage.TLS)


@pytest.mark.parametrize(
    ("protocol", "greeting", "kind"),
    [
        (SMTP, b"421 4.3.2 too busy\r\n", K.REPLY),
        (SMTP, b"554 5.7.1 you are blocked\r\n", K.REPLY),
        (SMTP, b"* OK IMAP4rev1 ready\r\n", K.PROTOCOL),
        (SMTP, b"SSH-2.0-OpenSSH_9.2\r\n", K.PROTOCOL),
        (SMTP, b"HTTP/1.1 400 Bad Request\r\n\r\n", K.PROTOCOL),
        (SMTP, b"-99 what\r\n", K.PROTOCOL),
        (SMTP, b"220 " + b"x" * 40_000, K.PROTOCOL),
        (SMTP, b"220-again\r\n" * 4000, K.PROTOCOL),
        (IMAP, b"* BYE too busy\r\n", K.REPLY),
        (IMAP, b"* PREAUTH welcome back\r\n", K.PROTOCOL),
        (IMAP, b"220 mail ESMTP\r\n", K.PROTOCOL),
        (IMAP, b"+OK POP3 ready\r\n", K.PROTOCOL),
        (IMAP, b"HTTP/1.1 200 OK\r\n\r\n", K.PROTOCOL),
        (IMAP, b"* OK " + b"x" * 40_000, K.PROTOCOL),
        (IMAP, b"* OK hi\r\n" + b"* NO more\r\n" * 100_000, K.PROTOCOL),
        (IMAP, b"* OK hi\r\n* X {999999999}\r\n", K.PROTOCOL),
        (IMAP, b"* OK hi\r\n* X {" + b"9" * 5000 + b"}\r\n", K.TIMEOUT),
        (IMAP, b"* OK hi\r\nA1 OK nobody asked\r\n", K.PROTOCOL),
    ],
)
async def test_greetings_that_are_none(protocol: Protocol, greeting: bytes, kind: FailureKind, quick: Tools) -> None:
    async with serve([greeting, Do.HANG]) as server:
        checked = await try_login(quick, protocol, NONE, server.port)
    expect(checked, kind, Stage.GREET)
    assert not checked.trace.sent_credentials


@pytest.mark.parametrize("protocol", [SMTP, IMAP])
async def test_missing_starttls_is_told_and_nothing_is_sent(protocol: Protocol, quick: Tools) -> None:
    steps: dict[Protocol, Sequence[Step]] = {
        SMTP: [b"220 mail\r\n", "EHLO", b"250-mail\r\n250 AUTH PLAIN\r\n", Do.HANG],
        IMAP: [b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] hi\r\n", Do.HANG],
    }
    async with serve(steps[protocol]) as server:
        checked = await try_login(quick, protocol, STARTTLS, server.port)
    expect(checked, K.STARTTLS_MISSING, Stage.TLS)
    assert not checked.trace.sent_credentials
    assert not any(b"AUTH" in line.upper() for line in server.lines)


@pytest.mark.parametrize("protocol", [SMTP, IMAP])
async def test_refused_starttls_is_a_reply(protocol: Protocol, quick: Tools) -> None:
    no = b"454 4.7.0 TLS not available\r\n" if protocol is SMTP else b"TAG NO not now\r\n"
    async with serve([*OPEN[protocol], "STARTTLS", no, Do.HANG]) as server:
        checked = await try_login(quick, protocol, STARTTLS, server.port)
    expect(checked, K.REPLY, Stage.TLS)


async def test_words_before_the_handshake_end_an_imap_check(quick: Tools, server_tls: ssl.SSLContext) -> None:
    steps = [*IMAP_HELLO, "STARTTLS", b"TAG OK go\r\n* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n", Do.STARTTLS, Do.HANG]
    async with serve(steps, tls=server_tls) as server:
        expect(await try_login(quick, IMAP, STARTTLS, server.port), K.PROTOCOL, Stage.TLS)


@pytest.mark.parametrize(
    ("protocol", "steps", "kind"),
    [
        (SMTP, [b"220 mail\r\n", "EHLO", b"250-mail\r\n250 SIZE 1\r\n"], K.LOGIN_MISSING),
        (SMTP, [b"220 mail\r\n", "EHLO", b"250-mail\r\n250 STARTTLS\r\n"], K.LOGIN_NEEDS_TLS),
        (SMTP, [b"220 mail\r\n", "EHLO", b"250-mail\r\n250 AUTH GSSAPI NTLM\r\n"], K.LOGIN_MISSING),
        (IMAP, [b"* OK [CAPABILITY IMAP4rev1 LOGINDISABLED] hi\r\n"], K.LOGIN_NEEDS_TLS),
    ],
)
async def test_no_way_to_log_in(protocol: Protocol, steps: list[Step], kind: FailureKind, quick: Tools) -> None:
    async with serve([*steps, Do.HANG]) as server:
        checked = await try_login(quick, protocol, NONE, server.port)
    expect(checked, kind, Stage.AUTH)
    assert not checked.trace.sent_credentials


@pytest.mark.parametrize("protocol", [SMTP, IMAP])
async def test_echoed_password_is_starred(protocol: Protocol, quick: Tools) -> None:
    echo = f"535 5.7.8 bad {PASSWORD}\r\n" if protocol is SMTP else f"TAG NO bad {PASSWORD}\r\n"
    async with serve([*OPEN[protocol], AUTH[protocol], echo.encode(), Do.HANG]) as server:
        checked = await try_login(quick, protocol, NONE, server.port)
    expect(checked, K.REPLY, Stage.AUTH)
    assert checked.failure is not None
    assert checked.failure.reply is not None
    assert checked.failure.reply.text == "bad ***"
    assert PASSWORD not in repr(checked)


async def test_bye_during_login_is_the_reply(quick: Tools) -> None:
    async with serve([*IMAP_HELLO, "AUTH", b"* BYE [UNAVAILABLE] Too many connections\r\n", Do.CLOSE]) as server:
        checked = await try_login(quick, IMAP, NONE, server.port)
    expect(checked, K.REPLY, Stage.AUTH)
    assert checked.failure is not None
    assert checked.failure.reply is not None
    assert (checked.failure.reply.status, checked.failure.reply.response_code) == ("BYE", "UNAVAILABLE")


@pytest.mark.parametrize(("refusal", "words"), [(b"TAG NO [NONEXISTENT] no inbox\r\n", "no inbox")])
async def test_refused_inbox_is_a_failure(refusal: bytes, words: str, quick: Tools) -> None:
    steps = [*IMAP_HELLO, "AUTH", b"TAG OK in\r\n", "LIST", b"TAG OK listed\r\n", "EXAMINE", refusal]
    async with serve([*steps, "LOGOUT", b"* BYE\r\nTAG OK\r\n"]) as server:
        checked = await try_login(quick, IMAP, NONE, server.port)
    expect(checked, K.REPLY, Stage.SELECT)
    assert checked.failure is not None
    assert checked.failure.reply is not None
    assert checked.failure.reply.text == words


async def test_server_that_wants_to_know_who_asks_is_told(quick: Tools) -> None:
    hello = b"* OK [CAPABILITY IMAP4rev1 ID SASL-IR AUTH=PLAIN] hi\r\n"
    steps: list[Step] = [hello, "AUTH", b"TAG OK in\r\n", 'ID ("name" "bulk-connect")', b"TAG BAD what\r\n"]
    steps += ["LIST", b"TAG OK\r\n", "EXAMINE", b"TAG OK\r\n", "LOGOUT", b"* BYE\r\nTAG OK\r\n"]
    async with serve(steps) as server:
        assert (await try_login(quick, IMAP, NONE, server.port)).failure is None


@pytest.mark.parametrize(
    ("folder", "offers", "seen"),
    [
        (b'* LIST (\\HasNoChildren \\All) "/" "[Gmail]/All Mail"\r\n', b"X-GM-EXT-1", True),
        (b'* LIST (\\HasNoChildren) "/" "INBOX"\r\n', b"X-GM-EXT-1", False),
        (b'* LIST (\\HasNoChildren) "/" "INBOX"\r\n', b"IDLE", None),
        (b'* LIST () "/" {7}\r\nAll\r\nMa\r\n* LIST (\\All) "/" all\r\n', b"IDLE", True),
    ],
)
async def test_folder_of_all_mail_is_looked_for(folder: bytes, offers: bytes, seen: bool | None, quick: Tools) -> None:
    hello = b"* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN " + offers + b"] hi\r\n"
    steps: list[Step] = [hello, "AUTH", b"TAG OK in\r\n", "LIST", folder * 5000 + b"TAG OK listed\r\n"]
    async with serve([*steps, "EXAMINE", b"TAG OK done\r\n", "LOGOUT", b"* BYE\r\nTAG OK\r\n"]) as server:
        checked = await try_login(replace(quick, deadlines=Deadlines()), IMAP, NONE, server.port)
    assert checked.failure is None
    assert checked.trace.has_all_mail is seen


@pytest.mark.parametrize("protocol", [SMTP, IMAP])
async def test_good_login_stays_good_when_the_goodbye_is_missing(protocol: Protocol, quick: Tools) -> None:
    more: list[Step] = [] if protocol is SMTP else ["LIST", b"TAG OK\r\n", "EXAMINE", b"TAG OK\r\n"]
    async with serve([*OPEN[protocol], AUTH[protocol], GOOD[protocol], *more, Do.HANG]) as server:
        checked = await try_login(quick, protocol, NONE, server.port)
    assert checked.failure is None


@pytest.mark.parametrize("protocol", [SMTP, IMAP])
async def test_cancelling_leaves_nothing(protocol: Protocol, quick: Tools) -> None:
    async with serve([*OPEN[protocol], AUTH[protocol], Do.HANG]) as server:
        task = asyncio.create_task(try_login(quick, protocol, NONE, server.port))
        await asyncio.sleep(0.2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


BAD_CERTIFICATES = {
    "expired": K.CERTIFICATE_EXPIRED,
    "self-signed": K.CERTIFICATE_UNTRUSTED,
    "wrong-name": K.CERTIFICATE_NAME,
}


@pytest.fixture(scope="session")
def bad_pairs(authority: Authority) -> Iterator[dict[str, Pair]]:
    yield {
        "expired": authority.issue("expired", expired_days_ago=3),
        "self-signed": authority.issue("self-signed", is_self_signed=True),
        "wrong-name": authority.issue("wrong-name", "mail.example.org", "*.example.net"),
    }


@pytest.mark.parametrize("fault", BAD_CERTIFICATES)
@pytest.mark.parametrize("way", [SSL, STARTTLS])
@pytest.mark.parametrize("protocol", [SMTP, IMAP])
async def test_bad_certificates_are_told_apart_and_shown(
    protocol: Protocol, way: Encryption, fault: str, quick: Tools, bad_pairs: dict[str, Pair]
) -> None:
    pair = bad_pairs[fault]
    consent = b"220 go\r\n" if protocol is SMTP else b"TAG OK go\r\n"
    before: list[Step] = [*OPEN[protocol], "STARTTLS", consent, Do.STARTTLS] if way is STARTTLS else []
    async with serve([*before, Do.READ], tls=context_of(pair), is_implicit=way is SSL) as server:
        checked = await try_login(quick, protocol, way, server.port)
    expect(checked, BAD_CERTIFICATES[fault], Stage.TLS)
    assert checked.failure is not None
    shown = checked.failure.certificate
    assert shown is not None
    assert shown.expires_at == pair.expires_at
    right, wrong = ("localhost", "127.0.0.1", "::1"), ("mail.example.org", "*.example.net")
    assert shown.names == (wrong if fault == "wrong-name" else right)
    assert not checked.trace.sent_credentials
    assert not any(b"AUTH" in line for line in server.lines)


@pytest.mark.parametrize("protocol", [SMTP, IMAP])
async def test_refused_certificate_is_looked_at_once_for_many_rows(
    protocol: Protocol, quick: Tools, bad_pairs: dict[str, Pair]
) -> None:
    async with serve([Do.READ], tls=context_of(bad_pairs["wrong-name"]), is_implicit=True) as server:
        checks = [await try_login(quick, protocol, SSL, server.port) for _ in range(3)]
    assert all(checked.failure and checked.failure.certificate for checked in checks)
    # Refused handshakes end before the script begins: what is counted here are the looks.
    assert server.calls == 1


async def test_old_tls_is_told(quick: Tools, good_pair: Pair) -> None:
    old = context_of(good_pair)
    old.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning):
        old.minimum_version = ssl.TLSVersion.TLSv1
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    async with serve([shake(old)]) as server:
        expect(await try_login(quick, SMTP, SSL, server.port), K.TLS_VERSION, Stage.TLS)


@pytest.mark.parametrize("protocol", [SMTP, IMAP])
async def test_wanted_client_certificate_is_told(
    protocol: Protocol, quick: Tools, good_pair: Pair, authority: Authority
) -> None:
    strict = context_of(good_pair)
    strict.verify_mode = ssl.CERT_REQUIRED
    strict.load_verify_locations(authority.ca_file)
    async with serve([shake(strict)]) as server:
        checked = await try_login(quick, protocol, SSL, server.port)
    assert checked.failure is not None
    assert checked.failure.kind is K.TLS_OTHER


def count_open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_open_files_do_not_pile_up(quick: Tools, server_tls: ssl.SSLContext) -> None:
    scripts: list[Sequence[Step]] = [
        [Do.HANG],
        [Do.CLOSE],
        [Do.RESET],
        [b"junk\r\n"],
        [*SMTP_HELLO, "AUTH", b"535 no\r\n"],
    ]
    fast = replace(quick, deadlines=Deadlines(total=0.2, tls=0.1, greet=0.1, auth=0.1))

    async def round_of_all() -> None:
        for steps in scripts:
            for implicit in (False, True):
                async with serve(steps, tls=server_tls, is_implicit=implicit) as server:
                    for way in (SSL, STARTTLS, NONE):
                        await try_login(fast, SMTP, way, server.port)
                        await try_login(fast, IMAP, way, server.port)
        await asyncio.sleep(0.2)

    await round_of_all()
    before = count_open_files()
    await round_of_all()
    assert count_open_files() <= before
