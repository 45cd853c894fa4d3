"""I/O (its exceptions): the one place where exceptions of the network and the mail libraries become `Failure`s.

    Exception
    ├── Stopped              a stage found the failure itself, and says it whole
    ├── DialError            no address answered
    ├── WireError            our IMAP adapter: the connection went wrong, in one of few ways
    ├── aiosmtplib.errors    SMTPException and its kin
    ├── aioimaplib           AioImapException and its kin; their texts may quote the password: never used
    └── OSError              the system's: ssl.SSLError and its kin, ConnectionError, TimeoutError, by errno

Trust the stage and the cause, not the class: a TLS fault is an `SMTPServerDisconnected` with an `SSLError` as its
cause in one place and a bare `SSLError` in the next.
"""

import errno
import ssl
from collections.abc import Sequence
from typing import Final

from aioimaplib import aioimaplib
from aiosmtplib import errors as smtp_errors

from app.checked import Failure, FailureKind, Reply
from app.login.reply import parse_imap_reply, parse_smtp_reply
from app.model import Stage
from app.text import clean_text


class Stopped(Exception):  # noqa: N818 - it is how a stage ends, not an error of ours
    """A stage ended the check."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.kind, failure.stage)
        self.failure = failure


class DialError(Exception):
    """No address answered."""

    def __init__(self, kind: FailureKind, address: str = "", detail: str = "") -> None:
        super().__init__(kind, address)
        self.kind = kind
        self.address = address
        self.detail = detail


class WireError(Exception):
    """The IMAP connection cannot go on."""

    def __init__(self, kind: FailureKind, detail: str = "", line: bytes = b"") -> None:
        super().__init__(kind, detail)
        self.kind = kind
        self.detail = detail
        self.line = line


MAPPED_CLASSES: Final = frozenset(
    {
        smtp_errors.SMTPAuthenticationError,
        smtp_errors.SMTPConnectError,
        smtp_errors.SMTPConnectResponseError,
        smtp_errors.SMTPConnectTimeoutError,
        smtp_errors.SMTPDataError,
        smtp_errors.SMTPException,
        smtp_errors.SMTPHeloError,
        smtp_errors.SMTPNotSupported,
        smtp_errors.SMTPReadTimeoutError,
        smtp_errors.SMTPRecipientRefused,
        smtp_errors.SMTPRecipientsRefused,
        smtp_errors.SMTPResponseException,
        smtp_errors.SMTPSenderRefused,
        smtp_errors.SMTPServerDisconnected,
        smtp_errors.SMTPTimeoutError,
        aioimaplib.Abort,
        aioimaplib.AioImapException,
        aioimaplib.CommandTimeout,
        aioimaplib.Error,
        aioimaplib.IncompleteRead,
        ssl.SSLCertVerificationError,
        ssl.SSLEOFError,
        ssl.SSLError,
        ssl.SSLSyscallError,
        ssl.SSLWantReadError,
        ssl.SSLWantWriteError,
        ssl.SSLZeroReturnError,
    }
)
"""Every exception class of the libraries that `translate` knows; a test compares."""

# X509_V_ERR_* of OpenSSL, x509_vfy.h.
_NOT_YET_VALID, _EXPIRED = 9, 10
_NAME_MISMATCHES = frozenset({62, 63, 64})

_NO_COMMON_VERSION: Final = frozenset(
    {
        "BAD_ECPOINT",
        "DH_KEY_TOO_SMALL",
        "EE_KEY_TOO_SMALL",
        "INAPPROPRIATE_FALLBACK",
        "LEGACY_SIGALG_DISALLOWED_OR_UNSUPPORTED",
        "NO_CIPHERS_AVAILABLE",
        "NO_PROTOCOLS_AVAILABLE",
        "NO_SHARED_CIPHER",
        "NO_SUITABLE_SIGNATURE_ALGORITHM",
        "SSLV3_ALERT_HANDSHAKE_FAILURE",
        "SSL/TLS_ALERT_HANDSHAKE_FAILURE",
        "TLSV1_ALERT_INSUFFICIENT_SECURITY",
        "TLSV1_ALERT_PROTOCOL_VERSION",
        "TLS_ALERT_PROTOCOL_VERSION",
        "UNSAFE_LEGACY_RENEGOTIATION_DISABLED",
        "UNSUPPORTED_PROTOCOL",
        "VERSION_TOO_LOW",
        "WRONG_SIGNATURE_TYPE",
        "WRONG_SSL_VERSION",
    }
)
_NOT_TLS: Final = frozenset(
    {
        "BAD_RECORD_TYPE",
        "HTTPS_PROXY_REQUEST",
        "HTTP_REQUEST",
        "NOT_A_TLS_RECORD",
        "PACKET_LENGTH_TOO_LONG",
        "RECORD_LAYER_FAILURE",
        "UNKNOWN_PROTOCOL",
        "WRONG_VERSION_NUMBER",
    }
)
_CHAIN_TOO_WEAK: Final = frozenset({"CA_KEY_TOO_SMALL", "CA_MD_TOO_WEAK"})

_BY_ERRNO: Final = {
    errno.ECONNREFUSED: FailureKind.REFUSED,
    errno.ECONNRESET: FailureKind.RESET,
    errno.ECONNABORTED: FailureKind.CLOSED,
    errno.EPIPE: FailureKind.CLOSED,
    errno.ENOTCONN: FailureKind.CLOSED,
    errno.ESHUTDOWN: FailureKind.CLOSED,
    errno.ETIMEDOUT: FailureKind.TIMEOUT,
    errno.ENETUNREACH: FailureKind.UNREACHABLE,
    errno.EHOSTUNREACH: FailureKind.UNREACHABLE,
    errno.EHOSTDOWN: FailureKind.UNREACHABLE,
    errno.ENETDOWN: FailureKind.UNREACHABLE,
    errno.EADDRNOTAVAIL: FailureKind.UNREACHABLE,
    errno.EAFNOSUPPORT: FailureKind.UNREACHABLE,
    errno.EACCES: FailureKind.UNREACHABLE,
    errno.EPERM: FailureKind.UNREACHABLE,
}

_NAMELESS: Final = {
    FailureKind.NAME_NOT_FOUND: "the name has no address",
    FailureKind.NAME_TEMPORARY: "the name servers could not say",
}
"""Shown in the report where there is no reply to show."""


def translate(error: BaseException, stage: Stage, needles: Sequence[str] = ()) -> Failure:
    """Return what `error` means when it came up in `stage`. What the server said is cleaned of `needles`.

    An exception that nobody foresaw is our own failure, named by its class alone.
    """
    if isinstance(error, Stopped):
        return error.failure
    if isinstance(error, WireError):
        if error.kind is FailureKind.REPLY:
            return Failure(error.kind, stage, parse_imap_reply(error.line, needles=needles), error.detail)
        reply = Reply(text=clean_text(error.line, needles)) if error.line else None
        return Failure(error.kind, stage, reply, error.detail)
    if isinstance(error, DialError):
        return Failure(error.kind, stage, detail=error.detail)
    if isinstance(error, smtp_errors.SMTPResponseException):
        if not 400 <= error.code <= 599:
            words = error.message.removeprefix("Malformed SMTP response line: ")
            return Failure(FailureKind.PROTOCOL, stage, Reply(clean_text(words, needles)), "not an SMTP reply")
        return Failure(FailureKind.REPLY, stage, parse_smtp_reply(error.code, error.message, needles))
    cause = error.__cause__
    if isinstance(error, smtp_errors.SMTPException) and isinstance(cause, OSError):
        return translate(cause, stage, needles)
    return Failure(classify(error), stage, detail=_describe(error))


def classify(error: BaseException) -> FailureKind:
    """Return the kind of a failure of the network or of a library that carries no reply."""
    if isinstance(error, ssl.SSLError):
        return _classify_tls(error)
    if isinstance(error, TimeoutError | aioimaplib.CommandTimeout):
        return FailureKind.TIMEOUT
    if isinstance(error, smtp_errors.SMTPServerDisconnected | smtp_errors.SMTPConnectError):
        return FailureKind.CLOSED
    if isinstance(error, aioimaplib.AioImapException | smtp_errors.SMTPException):
        return FailureKind.PROTOCOL
    if isinstance(error, OSError):
        if error.errno is None and isinstance(error, ConnectionError):
            return FailureKind.CLOSED  # the loop's own words for an end of file
        return _BY_ERRNO.get(error.errno or 0, FailureKind.OURS)
    kind = getattr(error, "kind", None)
    return kind if isinstance(kind, FailureKind) else FailureKind.OURS


def _classify_tls(error: ssl.SSLError) -> FailureKind:
    reason = _reason(error)
    if isinstance(error, ssl.SSLCertVerificationError):
        if error.verify_code in {_EXPIRED, _NOT_YET_VALID}:
            return FailureKind.CERTIFICATE_EXPIRED
        if error.verify_code in _NAME_MISMATCHES:
            return FailureKind.CERTIFICATE_NAME
        return FailureKind.CERTIFICATE_UNTRUSTED
    if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return FailureKind.CLOSED
    if reason in _NOT_TLS:
        return FailureKind.TLS_NOT_SPOKEN
    if reason in _NO_COMMON_VERSION:
        return FailureKind.TLS_VERSION
    return FailureKind.CERTIFICATE_UNTRUSTED if reason in _CHAIN_TOO_WEAK else FailureKind.TLS_OTHER


def _reason(error: ssl.SSLError) -> str:
    """Return OpenSSL's word for it; empty where the loop raised the error by itself."""
    return (getattr(error, "reason", None) or "").upper().replace(" ", "_")


def _describe(error: BaseException) -> str:
    """Say which it was in words that can hold nothing of what was sent."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate verification failed: {clean_text(error.verify_message, limit=200)}"
    if isinstance(error, ssl.SSLError):
        return f"TLS: {(_reason(error) or type(error).__name__).lower().replace('_', ' ')}"
    if isinstance(error, OSError) and error.errno is not None:
        return errno.errorcode.get(error.errno, "")
    if classify(error) in _NAMELESS:
        return _NAMELESS[classify(error)]
    return "" if isinstance(error, OSError | smtp_errors.SMTPException) else type(error).__name__
