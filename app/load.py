"""Pure: what a check's end says of the load of the host, whoever's login it was."""

from enum import StrEnum
from typing import Final, TypeAlias

from app.codes import Code
from app.model import Encryption

Way: TypeAlias = tuple[int, Encryption]
"""Where and how a host is spoken to: port and encryption."""


class Signal(StrEnum):
    """What a check's end says of the host."""

    GOOD = "good"
    REFUSED_LOGIN = "refused_login"
    """It answered, and said no."""
    CROWDED = "crowded"
    """Too many connections at a time."""
    TOO_FAST = "too_fast"
    """Too many logins in a while."""
    REFUSES_US = "refuses_us"
    """It does not let us in, or not to the end."""
    TROUBLE = "trouble"
    """It has troubles of its own, perhaps with one mailbox only."""
    SILENT = "silent"
    NEUTRAL = "neutral"
    """It speaks; that is all."""


_SIGNALS: Final = {
    Code.OK: Signal.GOOD,
    **dict.fromkeys(
        (
            Code.INVALID_CREDENTIALS,
            Code.APP_PASSWORD_REQUIRED,
            Code.OAUTH_REQUIRED,
            Code.OAUTH_TOKEN_INVALID,
            Code.PASSWORD_EXPIRED,
            Code.WEB_LOGIN_REQUIRED,
            Code.ACCOUNT_DISABLED,
            Code.LICENSE_REQUIRED,
            Code.SMTP_AUTH_DISABLED,
            Code.IMAP_DISABLED,
            Code.ACCESS_POLICY_BLOCKED,
            Code.MAILBOX_UNAVAILABLE,
        ),
        Signal.REFUSED_LOGIN,
    ),
    Code.TOO_MANY_CONNECTIONS: Signal.CROWDED,
    Code.RATE_LIMITED: Signal.TOO_FAST,
    Code.IP_BLOCKED: Signal.REFUSES_US,
    Code.CONNECTION_REFUSED: Signal.REFUSES_US,
    Code.CONNECTION_CLOSED: Signal.REFUSES_US,
    Code.HOST_UNREACHABLE: Signal.SILENT,
    Code.CONNECTION_TIMEOUT: Signal.SILENT,
    Code.AUTH_NO_ANSWER: Signal.SILENT,
    Code.TEMPORARY_SERVER_ERROR: Signal.TROUBLE,
}

OF_THE_WAY: Final = frozenset({Code.CONNECTION_REFUSED, Code.CONNECTION_CLOSED, Code.CONNECTION_TIMEOUT})
"""What a wrong port or encryption comes to as well as a host in trouble."""


def read_signal(code: Code) -> Signal:
    """Return what a code says of the host's load."""
    return _SIGNALS.get(code, Signal.NEUTRAL)
