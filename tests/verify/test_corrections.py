"""A wrong port or TLS mode is mended before any secret was sent, never toward less security, and told."""

import asyncio
import socket
import ssl
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from app.codes import Code
from app.intake import candidates
from app.login.trace import Deadlines
from app.model import Correction, Encryption, Protocol, Server, SideStatus
from app.verdict import SideVerdict
from app.verify import verify_row
from tests.fakes.dials import watch_dials
from tests.fakes.scripted import Do, Step, serve
from tests.real.certificates import Authority
from tests.verify.conftest import (
    HOST,
    IMAP,
    NONE,
    SMTP,
    SSL,
    STARTTLS,
    good_imap,
    good_smtp,
    open_kit,
    row,
    side,
    smtp_starttls,
)

PLAIN_SMTP: list[Step] = good_smtp()
REFUSING: list[Step] = [
    *(b"220 mail ESMTP\r\n", "EHLO", b"250-mail\r\n250 AUTH PLAIN\r\n"),
    *("AUTH PLAIN", b"535 5.7.8 Authentication credentials invalid\r\n", "QUIT", b"221 bye\r\n"),
]


@pytest.fixture(autouse=True)
def no_usual_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever listens on this machine's mail ports is not the tests' business."""
    monkeypatch.setattr(candidates, "_USUAL", {SMTP: (), IMAP: ()})


@pytest.fixture
def closed_port() -> Iterator[int]:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


async def check(
    authority: Authority, server: Server, *, auto_correct: bool = True, protocol: Protocol = SMTP, seconds: float = 3.0
) -> SideVerdict:
    task = row(auto_correct=auto_correct)
    task = replace(task, smtp=side(server)) if protocol is SMTP else replace(task, imap=side(server))
    deadlines = Deadlines(seconds, 1.0, 0.6, 0.6, 0.6, 0.6, 0.6)
    async with open_kit(ca_file=str(authority.ca_file), deadlines=deadlines) as (kit, _):
        found = await verify_row(task, kit)
    verdict = found.smtp or found.imap
    assert verdict is not None
    return verdict


def count_logins(heard: list[bytearray]) -> int:
    return sum(bytes(call).count(b"AUTH") for call in heard)


def used(verdict: SideVerdict) -> tuple[int, Encryption | None]:
    return verdict.side.port, verdict.side.encryption


async def test_tls_from_the_start_on_a_starttls_port(authority: Authority, context: ssl.SSLContext) -> None:
    async with serve(smtp_starttls(), tls=context) as server:
        verdict = await check(authority, Server(HOST, server.port, SSL))
    assert verdict.result.status is SideStatus.OK
    assert used(verdict) == (server.port, STARTTLS)
    assert (verdict.result.port, verdict.result.encryption) == used(verdict)
    (told,) = verdict.result.corrections
    assert told == Correction("smtpEncryption", "ssl", "starttls", told.reason)
    assert verdict.result.attempts == 2
    assert count_logins(server.heard) == 1


async def test_starttls_on_a_port_of_tls_from_the_start(authority: Authority, context: ssl.SSLContext) -> None:
    async with serve(good_smtp(), tls=context, is_implicit=True) as server:
        verdict = await check(authority, Server(HOST, server.port, STARTTLS))
    assert verdict.result.status is SideStatus.OK
    assert used(verdict) == (server.port, SSL)


async def test_clear_text_where_the_server_wants_tls(authority: Authority, context: ssl.SSLContext) -> None:
    async with serve(smtp_starttls(), tls=context) as server:
        verdict = await check(authority, Server(HOST, server.port, NONE))
    assert verdict.result.status is SideStatus.OK
    assert used(verdict) == (server.port, STARTTLS)


async def test_imap_is_mended_alike(authority: Authority, context: ssl.SSLContext) -> None:
    async with serve(good_imap(), tls=context, is_implicit=True) as server:
        verdict = await check(authority, Server(HOST, server.port, STARTTLS), protocol=IMAP)
    assert verdict.result.status is SideStatus.OK
    assert [entry.field for entry in verdict.result.corrections] == ["imapEncryption"]


async def test_wrong_port_is_mended_by_the_usual_ones(
    authority: Authority, context: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch, closed_port: int
) -> None:
    async with serve(good_smtp(), tls=context, is_implicit=True) as server:
        monkeypatch.setattr(candidates, "_USUAL", {SMTP: ((closed_port, STARTTLS), (server.port, SSL)), IMAP: ()})
        verdict = await check(authority, Server(HOST, closed_port, STARTTLS))
    assert verdict.result.status is SideStatus.OK
    assert [(entry.field, entry.given, entry.used) for entry in verdict.result.corrections] == [
        ("smtpPort", str(closed_port), str(server.port)),
        ("smtpEncryption", "starttls", "ssl"),
    ]


@pytest.mark.parametrize("asked", [SSL, STARTTLS])
async def test_less_security_than_asked_for_is_never_tried(
    asked: Encryption, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serve(PLAIN_SMTP) as server:
        monkeypatch.setattr(candidates, "_USUAL", {SMTP: ((server.port, NONE), (server.port, STARTTLS)), IMAP: ()})
        verdict = await check(authority, Server(HOST, server.port, asked))
    assert verdict.result.code == {SSL: Code.TLS_MODE_MISMATCH, STARTTLS: Code.STARTTLS_UNSUPPORTED}[asked]
    assert verdict.result.corrections == ()
    assert (verdict.result.port, verdict.result.encryption) == (server.port, asked)
    assert count_logins(server.heard) == 0


async def test_clear_text_is_used_where_it_was_asked_for(authority: Authority) -> None:
    async with serve(PLAIN_SMTP) as server:
        verdict = await check(authority, Server(HOST, server.port, NONE))
    assert verdict.result.status is SideStatus.OK
    assert verdict.result.corrections == ()


async def test_nothing_is_tried_after_a_secret_was_sent(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serve(REFUSING) as server:
        monkeypatch.setattr(candidates, "_USUAL", {SMTP: ((server.port, SSL), (server.port, STARTTLS)), IMAP: ()})
        verdict = await check(authority, Server(HOST, server.port, NONE))
    assert verdict.result.code == Code.INVALID_CREDENTIALS
    assert verdict.sent_credentials
    assert server.calls == 1


async def test_nothing_is_tried_after_a_login_without_an_answer(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    mute: list[Step] = [*REFUSING[:3], "AUTH PLAIN", Do.RESET]
    async with serve(mute) as server:
        monkeypatch.setattr(candidates, "_USUAL", {SMTP: ((server.port, STARTTLS), (server.port, SSL)), IMAP: ()})
        verdict = await check(authority, Server(HOST, server.port, NONE))
    assert verdict.result.code == Code.AUTH_NO_ANSWER
    assert not verdict.is_answered
    assert server.calls == 1


async def test_refused_login_behind_a_correction_is_told_with_it(authority: Authority, context: ssl.SSLContext) -> None:
    async with serve(REFUSING, tls=context, is_implicit=True) as server:
        verdict = await check(authority, Server(HOST, server.port, STARTTLS))
    assert verdict.result.code == Code.INVALID_CREDENTIALS
    assert [entry.used for entry in verdict.result.corrections] == ["ssl"]
    assert count_logins(server.heard) == 1


async def test_certificate_of_another_name_is_no_matter_of_ports(authority: Authority) -> None:
    stranger = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    pair = authority.issue("stranger", "other.example.net")
    stranger.load_cert_chain(pair.certificate, pair.key)
    async with serve(good_smtp(), tls=stranger, is_implicit=True) as server:
        verdict = await check(authority, Server(HOST, server.port, SSL))
    assert verdict.result.code == Code.TLS_HOSTNAME_MISMATCH
    assert verdict.result.attempts == 1
    assert count_logins(server.heard) == 0


async def test_without_leave_to_correct_there_is_one_dial(authority: Authority, context: ssl.SSLContext) -> None:
    async with serve(smtp_starttls(), tls=context) as server:
        verdict = await check(authority, Server(HOST, server.port, SSL), auto_correct=False)
    assert verdict.result.code == Code.TLS_MODE_MISMATCH
    assert server.calls == 1


async def test_what_does_not_help_leaves_the_first_failure_standing(
    authority: Authority, closed_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serve([b"SSH-2.0-OpenSSH_9.6\r\n", Do.HANG]) as server:
        monkeypatch.setattr(candidates, "_USUAL", {SMTP: ((server.port, SSL), (server.port, STARTTLS)), IMAP: ()})
        verdict = await check(authority, Server(HOST, closed_port, STARTTLS))
    assert verdict.result.code == Code.CONNECTION_REFUSED
    assert (verdict.result.port, verdict.side.port) == (closed_port, closed_port)
    assert verdict.result.attempts == 3


async def test_corrections_end_with_the_rows_time(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serve([Do.HANG]) as server:
        ways = tuple((server.port, way) for way in (SSL, STARTTLS, NONE))
        monkeypatch.setattr(candidates, "_USUAL", {SMTP: ways, IMAP: ways})
        began = time.monotonic()
        verdict = await check(authority, Server(HOST, server.port, NONE), seconds=0.8)
    assert time.monotonic() - began < 2.0
    assert verdict.result.code == Code.CONNECTION_TIMEOUT
    assert verdict.result.attempts == 2


async def test_way_that_works_for_others_is_not_doubted(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where logins were answered on a port, a refusal there is the host's mood and not a wrong port."""
    async with open_kit(ca_file=str(authority.ca_file)) as (kit, names):
        async with serve(PLAIN_SMTP) as server:
            given = Server(HOST, server.port, NONE)
            monkeypatch.setattr(candidates, "_USUAL", {SMTP: ((server.port, SSL), (server.port, STARTTLS)), IMAP: ()})
            first = await verify_row(row(side(given)), kit)
        assert first.smtp is not None
        assert first.smtp.result.status is SideStatus.OK
        await asyncio.sleep(0)
        with watch_dials() as dialled:
            second = await verify_row(row(side(given)), kit)
    assert second.smtp is not None
    assert second.smtp.result.code == Code.CONNECTION_REFUSED
    assert [where for where in dialled if where != names.where] == [("127.0.0.1", server.port)]
