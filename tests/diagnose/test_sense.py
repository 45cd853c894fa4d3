"""It is the sense that is read, in whatever words: these sentences are nobody's, each says one thing."""

import pytest

from app.codes import Code
from app.diagnose.diagnose import explain
from app.model import Protocol, Stage


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("Invalid credentials or account locked", Code.INVALID_CREDENTIALS),
        ("Login failed (wrong password or unknown user)", Code.INVALID_CREDENTIALS),
        ("Login failed: account locked", Code.ACCOUNT_DISABLED),
        ("Account locked because of repeated wrong passwords", Code.ACCOUNT_DISABLED),
        ("Too many wrong passwords, slow down", Code.RATE_LIMITED),
        ("[INUSE] Mailbox is locked by another session", Code.TEMPORARY_SERVER_ERROR),
        ("Login failed: you must change your password", Code.PASSWORD_EXPIRED),
        ("This service is disabled for your account", Code.IMAP_DISABLED),
        ("Zugang über IMAP ist nicht aktiviert", Code.IMAP_DISABLED),
        ("Kontingent überschritten", Code.QUOTA_EXCEEDED),
        ("Nome utente o password errati", Code.INVALID_CREDENTIALS),
        ("Λάθος κωδικός", Code.INVALID_CREDENTIALS),
        ("Sai mật khẩu", Code.INVALID_CREDENTIALS),
        ("Тази парола е грешна: грешна парола", Code.INVALID_CREDENTIALS),
        ("ＩＭＡＰ　ａｃｃｅｓｓ　ｄｉｓａｂｌｅｄ", Code.IMAP_DISABLED),
    ],
)
def test_reading_refused_with_a_reason(said: str, code: Code) -> None:
    assert explain(f"NO {said}", protocol=Protocol.IMAP, stage=Stage.AUTH).code is code


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("535 5.7.8 Authentication failed: this user has not opened SMTP service", Code.SMTP_AUTH_DISABLED),
        ("535 5.7.8 Authentication failed: turn on access for third-party programs", Code.SMTP_AUTH_DISABLED),
        ("535 5.7.8 Error: authentication failed: authentication failure (account suspended)", Code.ACCOUNT_DISABLED),
        ("535 5.7.8 Error: authentication failed: authentication failure", Code.INVALID_CREDENTIALS),
        ("421 4.7.0 Too many errors on this connection", Code.RATE_LIMITED),
        ("421 4.7.0 Too many connections on this host", Code.TOO_MANY_CONNECTIONS),
        ("550 Limite giornaliero superato", Code.QUOTA_EXCEEDED),
        ("503 Command not allowed at this point", Code.PROTOCOL_ERROR),
    ],
)
def test_sending_refused_with_a_reason(said: str, code: Code) -> None:
    assert explain(said, protocol=Protocol.SMTP, stage=Stage.AUTH).code is code


def test_at_the_door_nobody_s_account_is_meant() -> None:
    assert explain("550 Administrative prohibition", protocol=Protocol.SMTP, stage=Stage.GREET).code is Code.IP_BLOCKED


def test_a_refused_encryption_says_nothing_of_a_password() -> None:
    found = explain("554 5.7.3 Cannot do that", protocol=Protocol.SMTP, stage=Stage.TLS)
    assert found.code is Code.STARTTLS_UNSUPPORTED


@pytest.mark.parametrize(
    ("said", "protocol"),
    [("220 mail.example.com ESMTP", Protocol.IMAP), ("* OK IMAP4rev1 ready", Protocol.SMTP)],
)
def test_who_speaks_the_other_protocol_is_the_wrong_server(said: str, protocol: Protocol) -> None:
    assert explain(said, protocol=protocol, stage=Stage.GREET).code is Code.PROTOCOL_ERROR


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("Authentication failed: the other side sent a TLS alert", Code.TLS_PROTOCOL_UNSUPPORTED),
        ("the handshake came to nothing", Code.TLS_PROTOCOL_UNSUPPORTED),
        ("the certificate's host name did not match", Code.TLS_HOSTNAME_MISMATCH),
        ("EOF occurred in violation of protocol in the handshake", Code.CONNECTION_CLOSED),
    ],
)
def test_what_goes_wrong_in_encryption_is_never_a_password(said: str, code: Code) -> None:
    assert explain(said, protocol=Protocol.SMTP, stage=Stage.TLS).code is code


@pytest.mark.parametrize("said", ["NO Quux blorp 17", "NO [ALERT]", "550 5.7.1 Command rejected", "554 No"])
def test_what_says_nothing_is_not_made_to(said: str) -> None:
    protocol = Protocol.IMAP if said.startswith("NO") else Protocol.SMTP
    assert explain(said, protocol=protocol, stage=Stage.AUTH).code is Code.UNCLASSIFIED
