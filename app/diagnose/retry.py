"""Pure: when, if ever, a side is tried again. Nothing else in the project decides it.

A *login* is a try in which credentials may have been sent; a *dial* that ended before is none. The server said no:
never again in this request. It said "later": at most three logins in all. Nobody saw an answer: once more. A dial that
failed may be tried five times, and more where the host said that it is too much, refuses our address, or is known to
answer others. All within the row's budget, which begins with its first try.
"""

from datetime import datetime, timedelta
from typing import Final

from app.codes import Code

MOST_LOGINS: Final = 3
MOST_UNANSWERED: Final = 2
MOST_DIALS: Final = 5
MOST_DIALS_AT_KNOWN: Final = 20
"""At a host that answers others, or said itself that it is too much: it will come round."""

FIRST_WAIT_SECONDS: Final = 5.0
LONGEST_WAIT_SECONDS: Final = 240.0

_WAITS: Final = {
    Code.RATE_LIMITED: 4.0,
    Code.IP_BLOCKED: 6.0,
    Code.TOO_MANY_CONNECTIONS: 1.0,
    Code.TEMPORARY_SERVER_ERROR: 2.0,
    Code.CONNECTION_TIMEOUT: 2.0,
    Code.CONNECTION_CLOSED: 1.0,
    Code.HOST_UNREACHABLE: 2.0,
    Code.AUTH_NO_ANSWER: 4.0,
    Code.CONNECTION_REFUSED: 1.0,
    Code.DNS_NOT_FOUND: 1.0,
    Code.INTERRUPTED: 1.0,
}
"""Codes that may pass by themselves, and how much longer than the first wait each deserves."""

_THROTTLED: Final = frozenset({Code.RATE_LIMITED, Code.IP_BLOCKED, Code.TOO_MANY_CONNECTIONS})
_ONCE: Final = frozenset({Code.CONNECTION_REFUSED, Code.DNS_NOT_FOUND})


def next_attempt_at(
    code: Code,
    *,
    attempt: int,
    login_count: int,
    unanswered_count: int,
    sent_credentials: bool,
    now: datetime,
    retry_until: datetime,
    jitter: float,
    is_host_known: bool = False,
) -> datetime | None:
    """Return when to try a side again; None: never.

    `attempt`: tries so far, from 1. `login_count`, `unanswered_count`: logins of this side in this request so far, and
    those of them whose answer nobody saw. `jitter`: 0 to 1, spreads what would come back at one moment.
    `is_host_known`: others are answered there, so a refusal or a silence is the host's mood and no wrong port.
    """
    if code not in _WAITS or (code in _ONCE and attempt >= 2 and not is_host_known):
        return None
    if login_count >= MOST_LOGINS or unanswered_count >= MOST_UNANSWERED:
        return None
    most = MOST_DIALS_AT_KNOWN if is_host_known or code in _THROTTLED else MOST_DIALS
    if not sent_credentials and attempt >= most:
        return None
    if sent_credentials and code in {Code.CONNECTION_REFUSED, Code.DNS_NOT_FOUND}:
        return None
    seconds = min(FIRST_WAIT_SECONDS * _WAITS[code] * 2 ** (attempt - 1), LONGEST_WAIT_SECONDS)
    due_at = now + timedelta(seconds=seconds * (0.75 + jitter / 2))
    # Where others are answered, time passed in which we held the row back; a host that answers nobody ends its rows.
    return due_at if is_host_known or due_at <= retry_until else None
