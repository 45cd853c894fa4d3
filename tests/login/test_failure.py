"""Whatever the network and the libraries raise has one meaning, and no text of theirs gets out."""

import errno
import inspect
import ssl
from types import ModuleType

import pytest
from aioimaplib import aioimaplib
from aiosmtplib import errors as smtp_errors

from app.checked import Failure, FailureKind, Reply
from app.login import failure
from app.login.failure import DialError, Stopped, WireError, classify, translate
from app.login.resolve import ResolveError
from app.model import Stage

K = FailureKind


def list_exceptions(module: ModuleType) -> set[type[BaseException]]:
    """List the exception classes that a module defines itself."""
    return {
        value
        for _, value in inspect.getmembers(module, inspect.isclass)
        if issubclass(value, BaseException) and value.__module__ in {module.__name__, "ssl", "_ssl"}
    }


@pytest.mark.parametrize("module", [smtp_errors, aioimaplib, ssl], ids=lambda module: module.__name__)
def test_every_exception_of_the_libraries_is_mapped(module: ModuleType) -> None:
    assert list_exceptions(module) <= failure.MAPPED_CLASSES


def test_nothing_is_mapped_that_the_libraries_no_longer_have() -> None:
    there = list_exceptions(smtp_errors) | list_exceptions(aioimaplib) | list_exceptions(ssl)
    assert there >= failure.MAPPED_CLASSES


def tls(reason: str) -> ssl.SSLError:
    error = ssl.SSLError(1, "words")
    error.reason = reason
    return error


def refused_certificate(code: int) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "words")
    error.verify_code = code
    error.verify_message = "fault"
    return error


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (TimeoutError(), K.TIMEOUT),
        (OSError(errno.ETIMEDOUT, ""), K.TIMEOUT),
        (OSError(errno.ECONNREFUSED, ""), K.REFUSED),
        (OSError(errno.ECONNRESET, ""), K.RESET),
        (OSError(errno.EPIPE, ""), K.CLOSED),
        (ConnectionResetError(), K.CLOSED),
        (ConnectionAbortedError("SSL handshake is taking longer"), K.CLOSED),
        (OSError(errno.ENETUNREACH, ""), K.UNREACHABLE),
        (OSError(errno.EHOSTUNREACH, ""), K.UNREACHABLE),
        (OSError(errno.EAFNOSUPPORT, ""), K.UNREACHABLE),
        (OSError(errno.EMFILE, ""), K.OURS),
        (tls("WRONG_VERSION_NUMBER"), K.TLS_NOT_SPOKEN),
        (tls("http request"), K.TLS_NOT_SPOKEN),
        (tls("TLSV1_ALERT_PROTOCOL_VERSION"), K.TLS_VERSION),
        (tls("SSLV3_ALERT_HANDSHAKE_FAILURE"), K.TLS_VERSION),
        (tls("DH_KEY_TOO_SMALL"), K.TLS_VERSION),
        (tls("CA_MD_TOO_WEAK"), K.CERTIFICATE_UNTRUSTED),
        (tls("TLSV13_ALERT_CERTIFICATE_REQUIRED"), K.TLS_OTHER),
        (ssl.SSLEOFError(8, "EOF"), K.CLOSED),
        (refused_certificate(10), K.CERTIFICATE_EXPIRED),
        (refused_certificate(9), K.CERTIFICATE_EXPIRED),
        (refused_certificate(62), K.CERTIFICATE_NAME),
        (refused_certificate(64), K.CERTIFICATE_NAME),
        (refused_certificate(18), K.CERTIFICATE_UNTRUSTED),
        (refused_certificate(20), K.CERTIFICATE_UNTRUSTED),
        (smtp_errors.SMTPServerDisconnected("gone"), K.CLOSED),
        (smtp_errors.SMTPReadTimeoutError("late"), K.TIMEOUT),
        (smtp_errors.SMTPNotSupported("no"), K.PROTOCOL),
        (aioimaplib.Abort("A1 LOGIN user secret"), K.PROTOCOL),
        (ResolveError(K.NAME_NOT_FOUND), K.NAME_NOT_FOUND),
        (ResolveError(K.NAME_TEMPORARY), K.NAME_TEMPORARY),
        (DialError(K.NOT_ALLOWED, "10.0.0.1", "10.0.0.1 is a private network."), K.NOT_ALLOWED),
        (WireError(K.PROTOCOL, "line too long"), K.PROTOCOL),
        (ValueError("secret"), K.OURS),
        (RecursionError(), K.OURS),
    ],
    ids=repr,
)
def test_each_error_has_its_kind(error: Exception, kind: FailureKind) -> None:
    found = translate(error, Stage.TLS)
    assert (found.kind, found.stage) == (kind, Stage.TLS)
    assert "secret" not in repr(found)


def test_the_cause_counts_more_than_the_class() -> None:
    error = smtp_errors.SMTPServerDisconnected("Connection lost")
    error.__cause__ = refused_certificate(10)
    assert translate(error, Stage.TLS).kind is K.CERTIFICATE_EXPIRED
    assert classify(error) is K.CLOSED


def test_a_stage_that_stopped_has_the_last_word() -> None:
    own = Failure(K.STARTTLS_MISSING, Stage.TLS)
    assert translate(Stopped(own), Stage.GREET) is own


def test_smtp_reply_is_taken_apart() -> None:
    error = smtp_errors.SMTPAuthenticationError(535, "5.7.8 No such luck\n5.7.8 with hunter22")
    found = translate(error, Stage.AUTH, ["hunter22"])
    assert found.kind is K.REPLY
    assert found.reply == Reply("No such luck\nwith ***", 535, "5.7.8")


@pytest.mark.parametrize("code", [-1, -99, 0, 99, 600])
def test_what_has_no_reply_code_is_no_reply(code: int) -> None:
    error = smtp_errors.SMTPResponseException(code, "Malformed SMTP response line: SSH-2.0-OpenSSH")
    found = translate(error, Stage.GREET)
    assert found.kind is K.PROTOCOL
    assert found.reply == Reply("SSH-2.0-OpenSSH")


def test_imap_goodbye_is_a_reply() -> None:
    found = translate(WireError(K.REPLY, line=b"BYE [UNAVAILABLE] later"), Stage.AUTH)
    assert found.reply == Reply("later", status="BYE", response_code="UNAVAILABLE")


@pytest.mark.parametrize("kind", [K.NAME_NOT_FOUND, K.NAME_TEMPORARY])
def test_a_name_without_an_address_is_told_in_words(kind: K) -> None:
    detail = translate(ResolveError(kind), Stage.RESOLVE).detail
    assert detail
    assert "Error" not in detail
