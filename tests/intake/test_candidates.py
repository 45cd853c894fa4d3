"""Other servers are tried only where that may help and cannot harm."""

import itertools

import pytest

from app.checked import Failure, FailureKind
from app.intake.candidates import MOST_CANDIDATES, describe_corrections, list_corrections
from app.intake.presets import find_preset
from app.model import Encryption, Protocol, Server, Stage

SMTP, IMAP = Protocol.SMTP, Protocol.IMAP
SSL, STARTTLS, NONE = Encryption.SSL, Encryption.STARTTLS, Encryption.NONE
HOST = "mail.example.com"

WRONG_PORT = Failure(FailureKind.REFUSED, Stage.CONNECT)
NO_TLS_THERE = Failure(FailureKind.TLS_NOT_SPOKEN, Stage.TLS)
MUTE = Failure(FailureKind.TIMEOUT, Stage.GREET)


def test_implicit_tls_that_is_not_spoken_is_tried_as_starttls_on_the_same_port_first() -> None:
    found = list_corrections(SMTP, Server(HOST, 587, SSL), NO_TLS_THERE, None)
    assert found == [Server(HOST, 587, STARTTLS), Server(HOST, 465, SSL)]


@pytest.mark.parametrize(
    "kind", [FailureKind.TIMEOUT, FailureKind.CLOSED, FailureKind.RESET, FailureKind.PROTOCOL], ids=str
)
@pytest.mark.parametrize("stage", [Stage.GREET, Stage.TLS], ids=str)
def test_a_server_that_greets_nobody_in_clear_is_tried_with_implicit_tls_first(kind: FailureKind, stage: Stage) -> None:
    found = list_corrections(IMAP, Server(HOST, 993, STARTTLS), Failure(kind, stage), None)
    assert found == [Server(HOST, 993, SSL), Server(HOST, 143, STARTTLS)]


def test_a_login_that_needs_tls_is_tried_with_it() -> None:
    failure = Failure(FailureKind.LOGIN_NEEDS_TLS, Stage.AUTH)
    found = list_corrections(SMTP, Server(HOST, 25, NONE), failure, None)
    assert found == [Server(HOST, 25, STARTTLS), Server(HOST, 465, SSL), Server(HOST, 587, STARTTLS)]


def test_a_refused_port_says_nothing_of_its_mode() -> None:
    found = list_corrections(IMAP, Server(HOST, 1993, SSL), WRONG_PORT, None)
    assert found == [Server(HOST, 993, SSL), Server(HOST, 143, STARTTLS)]
    assert list_corrections(IMAP, Server(HOST, 993, SSL), MUTE, None) == [Server(HOST, 143, STARTTLS)]


def test_no_encryption_is_tried_only_where_it_was_asked_for() -> None:
    found = list_corrections(SMTP, Server(HOST, 2525, NONE), WRONG_PORT, None)
    assert found == [Server(HOST, 465, SSL), Server(HOST, 587, STARTTLS), Server(HOST, 587, NONE)]


def test_the_providers_own_offers_come_before_the_usual_ports() -> None:
    gmail = find_preset("gmail")
    assert gmail is not None
    found = list_corrections(SMTP, Server("smtp.gmail.com", 25, STARTTLS), WRONG_PORT, gmail)
    assert gmail.smtp is not None
    assert found == [gmail.smtp, *gmail.smtp_alternatives]


def test_another_host_is_never_tried() -> None:
    gmail = find_preset("gmail")
    found = list_corrections(IMAP, Server(HOST, 25, STARTTLS), WRONG_PORT, gmail)
    assert {server.host for server in found} == {HOST}


def test_a_side_that_the_provider_lacks_adds_nothing() -> None:
    sendgrid = find_preset("sendgrid")
    found = list_corrections(IMAP, Server("smtp.sendgrid.net", 25, SSL), WRONG_PORT, sendgrid)
    assert found == [Server("smtp.sendgrid.net", 993, SSL), Server("smtp.sendgrid.net", 143, STARTTLS)]


def test_a_pattern_for_hosts_is_no_host_to_try() -> None:
    bluehost = find_preset("bluehost")
    found = list_corrections(IMAP, Server("mail.bluehost.com", 143, SSL), WRONG_PORT, bluehost)
    assert found == [Server("mail.bluehost.com", 993, SSL), Server("mail.bluehost.com", 143, STARTTLS)]


@pytest.mark.parametrize(
    "failure",
    [
        Failure(FailureKind.REPLY, Stage.AUTH),
        Failure(FailureKind.NAME_NOT_FOUND, Stage.RESOLVE),
        Failure(FailureKind.TIMEOUT, Stage.RESOLVE),
        Failure(FailureKind.TIMEOUT, Stage.SELECT),
        Failure(FailureKind.NOT_ALLOWED, Stage.CONNECT),
        Failure(FailureKind.CERTIFICATE_EXPIRED, Stage.TLS),
        Failure(FailureKind.CERTIFICATE_NAME, Stage.TLS),
    ],
    ids=lambda failure: f"{failure.kind}-{failure.stage}",
)
def test_what_no_other_port_can_mend_is_not_tried_elsewhere(failure: Failure) -> None:
    assert list_corrections(SMTP, Server(HOST, 465, SSL), failure, None) == []


def test_whatever_happens_the_list_is_short_and_never_weaker() -> None:
    presets = (None, find_preset("gmail"), find_preset("microsoft365"))
    for protocol, port, mode, kind, stage, preset in itertools.product(
        Protocol, (25, 143, 465, 587, 993, 2525), Encryption, FailureKind, Stage, presets
    ):
        server = Server(HOST, port, mode)
        found = list_corrections(protocol, server, Failure(kind, stage), preset)
        assert len(found) <= MOST_CANDIDATES
        assert server not in found
        assert len(set(found)) == len(found)
        assert mode is NONE or NONE not in {candidate.encryption for candidate in found}


def test_what_was_mended_is_told_field_by_field() -> None:
    told = describe_corrections(SMTP, Server("a.example", 25, NONE), Server("b.example", 465, SSL))
    assert [(entry.field, entry.given, entry.used) for entry in told] == [
        ("smtpHost", "a.example", "b.example"),
        ("smtpPort", "25", "465"),
        ("smtpEncryption", "none", "ssl"),
    ]
    assert describe_corrections(IMAP, Server(HOST, 993, SSL), Server(HOST, 993, SSL)) == ()
