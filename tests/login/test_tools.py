"""What all checks of a process share is made safe, once."""

import logging
import socket
import ssl
from datetime import UTC, datetime

import pytest

from app.checked import Certificate, FailureKind
from app.login.certificate import _read_encoded, _read_verified
from app.login.check import Tools, close_tools, open_tools
from app.login.smtp import _hello_name
from app.login.tls import KEEP_SEEN_SECONDS, MOST_SEEN, TlsContexts, open_contexts
from app.model import Encryption, Protocol, Server
from app.settings import Settings
from tests.login.conftest import try_login
from tests.real.certificates import Authority


async def test_libraries_that_log_what_is_sent_are_kept_quiet() -> None:
    logging.getLogger("aioimaplib").setLevel(logging.DEBUG)
    await close_tools(open_tools(Settings()))
    for name in ("aioimaplib", "aioimaplib.aioimaplib", "aiosmtplib", "aiosmtplib.protocol"):
        assert logging.getLogger(name).getEffectiveLevel() >= logging.WARNING


async def test_deadlines_are_the_operators() -> None:
    settings = Settings(check_timeout_seconds=7, connect_timeout_seconds=1, tls_timeout_seconds=2)
    tools = open_tools(settings, [("192.0.2.1", 8080)])
    await close_tools(tools)
    assert (tools.deadlines.total, tools.deadlines.connect, tools.deadlines.tls) == (7, 1, 2)
    assert ("192.0.2.1", 8080) in tools.egress.own_listeners


def test_certificates_are_always_verified(authority: Authority) -> None:
    contexts = open_contexts(str(authority.ca_file))
    for protocol in Protocol:
        assert contexts.verify[protocol].verify_mode is ssl.CERT_REQUIRED
        assert contexts.verify[protocol].check_hostname
        assert contexts.verify[protocol].minimum_version is ssl.TLSVersion.TLSv1_2
        trusted = contexts.verify[protocol].get_ca_certs()
        assert len(trusted) == len(open_contexts().verify[protocol].get_ca_certs()) + 1


def test_missing_authority_is_an_error_at_the_start() -> None:
    with pytest.raises(OSError, match="No such file"):
        open_contexts("/nowhere/authority.pem")


def test_facts_of_a_verified_certificate() -> None:
    names = (("DNS", "mail.example.com"), ("IP Address", "0:0:0:0:0:0:0:1"), ("email", "x@example.com"))
    found = _read_verified("Jun  1 12:00:00 2030 GMT", names)
    assert found == Certificate(("mail.example.com", "::1"), datetime(2030, 6, 1, 12, tzinfo=UTC))
    assert _read_verified("", ()) == Certificate()


def test_facts_of_a_refused_certificate(authority: Authority) -> None:
    pair = authority.issue("facts", "mail.example.com", "192.0.2.7")
    encoded = ssl.PEM_cert_to_DER_cert(pair.certificate.read_text())
    assert _read_encoded(encoded) == Certificate(("mail.example.com", "192.0.2.7"), pair.expires_at)
    root = ssl.PEM_cert_to_DER_cert(authority.ca_file.read_text())
    assert _read_encoded(root).names == ("Throw-away test authority",)


def test_refused_certificates_are_remembered_for_a_while() -> None:
    contexts = TlsContexts({}, ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    server, seen = Server("mail.example.com", 993, Encryption.SSL), Certificate(("a",), datetime.now(UTC))
    contexts.remember("192.0.2.1", server, 100.0, seen)
    assert contexts.recall("192.0.2.1", server, 101.0) is seen
    assert contexts.recall("192.0.2.2", server, 101.0) is None
    assert contexts.recall("192.0.2.1", server, 101.0 + KEEP_SEEN_SECONDS) is None
    for number in range(MOST_SEEN + 10):
        contexts.remember(f"192.0.2.{number}", server, 100.0, seen)
    assert len(contexts.seen) <= MOST_SEEN


@pytest.mark.parametrize(
    ("hostname", "greeted"),
    [
        ("checker.example.com", b"checker.example.com"),
        ("vm", b"[127.0.0.1]"),
        ("", b"[127.0.0.1]"),
        ("bad name.example.com", b"[127.0.0.1]"),
    ],
)
def test_smtp_servers_are_greeted_with_a_name_they_accept(hostname: str, greeted: bytes) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        assert _hello_name(hostname, sock) == greeted


@pytest.mark.parametrize(
    ("host", "kind"),
    [
        ("nowhere.invalid", FailureKind.NAME_NOT_FOUND),
        ("", FailureKind.NAME_NOT_FOUND),
        ("10.0.0.1", FailureKind.NOT_ALLOWED),
        ("169.254.169.254", FailureKind.NOT_ALLOWED),
        ("[::ffff:10.0.0.1]", FailureKind.NOT_ALLOWED),
        ("0x0a.0.0.1", FailureKind.NOT_ALLOWED),
    ],
)
async def test_hosts_that_lead_nowhere_are_told_without_a_dial(host: str, kind: FailureKind, tools: Tools) -> None:
    checked = await try_login(tools, Protocol.IMAP, Encryption.SSL, 993, host=host)
    assert checked.failure is not None
    assert checked.failure.kind is kind
    assert not checked.trace.sent_credentials
