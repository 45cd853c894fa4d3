"""From how a check ended to a code: the wire needs no words, words need rules, and nothing is guessed."""

import pytest

from app.checked import Checked, Failure, FailureKind, Reply, Trace
from app.codes import FACTS, Code
from app.diagnose.diagnose import diagnose_checked, explain
from app.model import Encryption, Protocol, Server, Stage

SERVER = Server("mail.example.com", 993, Encryption.SSL)


def check(
    kind: FailureKind | None,
    *,
    stage: Stage = Stage.AUTH,
    reply: Reply | None = None,
    sent: bool = False,
    protocol: Protocol = Protocol.IMAP,
) -> Checked:
    failure = Failure(kind, stage, reply) if kind else None
    return Checked(protocol, Trace(SERVER, sent_credentials=sent), failure)


def test_a_login_that_worked_is_ok() -> None:
    found = diagnose_checked(check(None))
    assert (found.code, found.rule, found.is_retryable) == (Code.OK, "login", False)


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (FailureKind.REFUSED, Code.CONNECTION_REFUSED),
        (FailureKind.UNREACHABLE, Code.HOST_UNREACHABLE),
        (FailureKind.NAME_NOT_FOUND, Code.DNS_NOT_FOUND),
        (FailureKind.NAME_TEMPORARY, Code.CONNECTION_TIMEOUT),
        (FailureKind.NOT_ALLOWED, Code.ADDRESS_NOT_ALLOWED),
        (FailureKind.TLS_NOT_SPOKEN, Code.TLS_MODE_MISMATCH),
        (FailureKind.TLS_UNASKED, Code.TLS_MODE_MISMATCH),
        (FailureKind.TLS_VERSION, Code.TLS_PROTOCOL_UNSUPPORTED),
        (FailureKind.TLS_OTHER, Code.TLS_PROTOCOL_UNSUPPORTED),
        (FailureKind.CERTIFICATE_EXPIRED, Code.TLS_CERT_EXPIRED),
        (FailureKind.CERTIFICATE_UNTRUSTED, Code.TLS_CERT_UNTRUSTED),
        (FailureKind.CERTIFICATE_NAME, Code.TLS_HOSTNAME_MISMATCH),
        (FailureKind.STARTTLS_MISSING, Code.STARTTLS_UNSUPPORTED),
        (FailureKind.LOGIN_MISSING, Code.AUTH_MECHANISM_UNSUPPORTED),
        (FailureKind.LOGIN_NEEDS_TLS, Code.TLS_REQUIRED),
        (FailureKind.PROTOCOL, Code.PROTOCOL_ERROR),
        (FailureKind.OURS, Code.INTERRUPTED),
        (FailureKind.TIMEOUT, Code.CONNECTION_TIMEOUT),
        (FailureKind.CLOSED, Code.CONNECTION_CLOSED),
        (FailureKind.RESET, Code.CONNECTION_CLOSED),
    ],
)
def test_what_the_wire_told_needs_no_words(kind: FailureKind, code: Code) -> None:
    found = diagnose_checked(check(kind, stage=Stage.CONNECT))
    assert (found.code, found.rule) == (code, f"kind:{kind}")
    assert found.fault is FACTS[code].fault


@pytest.mark.parametrize("kind", [FailureKind.TIMEOUT, FailureKind.CLOSED, FailureKind.RESET])
def test_silence_after_a_login_is_neither_right_nor_wrong(kind: FailureKind) -> None:
    assert diagnose_checked(check(kind, sent=True)).code is Code.AUTH_NO_ANSWER
    assert diagnose_checked(check(kind, sent=False)).code is not Code.AUTH_NO_ANSWER


def test_what_was_said_before_the_silence_counts() -> None:
    said = Reply("Too many connections from your address", status="BYE")
    found = diagnose_checked(check(FailureKind.CLOSED, stage=Stage.GREET, reply=said))
    assert found.code is Code.TOO_MANY_CONNECTIONS
    unknown = Reply("the cat is on the keyboard")
    found = diagnose_checked(check(FailureKind.TIMEOUT, stage=Stage.GREET, reply=unknown))
    assert found.code is Code.CONNECTION_TIMEOUT


@pytest.mark.parametrize(
    ("encryption", "stage", "code"),
    [
        (Encryption.SSL, Stage.TLS, Code.TLS_MODE_MISMATCH),
        (Encryption.STARTTLS, Stage.TLS, Code.STARTTLS_UNSUPPORTED),
        (Encryption.SSL, Stage.GREET, Code.PROTOCOL_ERROR),
        (Encryption.STARTTLS, Stage.AUTH, Code.PROTOCOL_ERROR),
    ],
)
def test_no_tls_means_another_thing_where_the_server_had_agreed_to_it(
    encryption: Encryption, stage: Stage, code: Code
) -> None:
    trace = Trace(Server("mail.example.com", 993, encryption))
    found = diagnose_checked(Checked(Protocol.IMAP, trace, Failure(FailureKind.TLS_NOT_SPOKEN, stage)))
    assert found.code is code


@pytest.mark.parametrize(
    ("greeting", "code"),
    [
        ("220 (vsFTPd 3.0.5)", Code.PROTOCOL_ERROR),
        ("220 ProFTPD Server ready.", Code.PROTOCOL_ERROR),
        ("220---------- Welcome to Pure-FTPd ----------", Code.PROTOCOL_ERROR),
        ("220 mail.example.com LMTP", Code.PROTOCOL_ERROR),
        ("220 ftp.example.com ESMTP", Code.AUTH_MECHANISM_UNSUPPORTED),
        ("220 mail.example.com ESMTP", Code.AUTH_MECHANISM_UNSUPPORTED),
    ],
)
def test_a_file_server_that_greets_like_a_mail_server_is_told_by_its_greeting(greeting: str, code: Code) -> None:
    refusal = Failure(FailureKind.REPLY, Stage.GREET, Reply("Command not implemented", code=502, enhanced="5.5.1"))
    found = diagnose_checked(Checked(Protocol.SMTP, Trace(SERVER, greeting=greeting), refusal))
    assert found.code is code


def test_goodbye_without_a_word_is_silence() -> None:
    goodbye = Reply("", status="BYE")
    assert diagnose_checked(check(FailureKind.REPLY, stage=Stage.GREET, reply=goodbye)).code is Code.CONNECTION_CLOSED
    assert diagnose_checked(check(FailureKind.REPLY, reply=goodbye, sent=True)).code is Code.AUTH_NO_ANSWER


def test_refusal_at_the_door_is_no_matter_of_passwords() -> None:
    denied = Reply("Access denied", status="BYE")
    assert diagnose_checked(check(FailureKind.REPLY, stage=Stage.GREET, reply=denied)).code is Code.IP_BLOCKED
    assert diagnose_checked(check(FailureKind.REPLY, reply=denied, sent=True)).code is Code.ACCESS_POLICY_BLOCKED


WRONG = Reply("Authentication failed.", status="NO", response_code="AUTHENTICATIONFAILED")


def test_a_password_that_was_refused() -> None:
    found = diagnose_checked(check(FailureKind.REPLY, reply=WRONG, sent=True))
    assert found.code is Code.INVALID_CREDENTIALS
    assert "authentication failed" in found.evidence


def test_a_token_that_was_refused_is_no_wrong_password() -> None:
    found = diagnose_checked(check(FailureKind.REPLY, reply=WRONG, sent=True), is_token=True)
    assert found.code is Code.OAUTH_TOKEN_INVALID


def test_a_password_that_was_never_sent_is_not_called_wrong() -> None:
    found = diagnose_checked(check(FailureKind.REPLY, reply=WRONG, sent=False))
    assert found.code is Code.AUTH_MECHANISM_UNSUPPORTED


def test_a_failure_by_reply_without_a_reply_is_a_broken_dialogue() -> None:
    assert diagnose_checked(check(FailureKind.REPLY)).code is Code.PROTOCOL_ERROR


def test_a_provider_lends_its_meaning() -> None:
    reply = Reply("Unrecognized authentication type: mechanism not offered", code=504, enhanced="5.7.4")
    checked = check(FailureKind.REPLY, reply=reply, protocol=Protocol.SMTP)
    assert diagnose_checked(checked, provider="outlook").code is Code.OAUTH_REQUIRED
    assert diagnose_checked(checked).code is Code.AUTH_MECHANISM_UNSUPPORTED


@pytest.mark.parametrize("raw", ["", "599 the cat is on the keyboard", "NO the cat", "好", "\x00\x01", "=" * 5000])
def test_what_nobody_knows_is_not_guessed(raw: str) -> None:
    found = explain(raw)
    assert (found.code, found.rule) == (Code.UNCLASSIFIED, "none")


def test_a_rule_that_is_switched_off_does_not_judge() -> None:
    raw = "535 5.7.0 (#AUTH005) Too many bad auth attempts."
    by = explain(raw)
    assert explain(raw, without=frozenset({by.rule})).rule != by.rule
