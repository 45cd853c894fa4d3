"""What only both sides of a mailbox together tell."""

import pytest

from app.codes import Code
from app.diagnose.diagnose import Diagnosis
from app.diagnose.sides import join_sides


def join(smtp: Code | None, imap: Code | None, *, same: bool = True) -> str:
    sides = [Diagnosis(code, "test") if code else None for code in (smtp, imap)]
    return join_sides(*sides, same_secret=same)


@pytest.mark.parametrize(
    ("smtp", "imap", "same", "words"),
    [
        (Code.INVALID_CREDENTIALS, Code.INVALID_CREDENTIALS, True, "both refused the same password"),
        (Code.INVALID_CREDENTIALS, Code.OK, True, "IMAP took the same password"),
        (Code.INVALID_CREDENTIALS, Code.OK, False, "IMAP took its password, SMTP refused its own"),
        (Code.OK, Code.INVALID_CREDENTIALS, True, "SMTP took the same password"),
        (Code.OK, Code.INVALID_CREDENTIALS, False, "SMTP took its password, IMAP refused its own"),
        (Code.CONNECTION_TIMEOUT, Code.HOST_UNREACHABLE, True, "a firewall, or the wrong servers"),
        (Code.IP_BLOCKED, Code.CONNECTION_CLOSED, True, "may have the same cause"),
        (Code.OK, Code.IP_BLOCKED, False, "may have the same cause"),
    ],
)
def test_sides_that_explain_each_other(smtp: Code, imap: Code, same: bool, words: str) -> None:
    assert words in join(smtp, imap, same=same)


@pytest.mark.parametrize(
    ("smtp", "imap", "same"),
    [
        (Code.OK, Code.OK, True),
        (None, Code.INVALID_CREDENTIALS, True),
        (Code.INVALID_CREDENTIALS, None, True),
        (Code.INVALID_CREDENTIALS, Code.INVALID_CREDENTIALS, False),
        (Code.CONNECTION_TIMEOUT, Code.OK, True),
        (Code.TLS_CERT_EXPIRED, Code.CONNECTION_REFUSED, True),
    ],
)
def test_sides_that_do_not(smtp: Code | None, imap: Code | None, same: bool) -> None:
    assert join(smtp, imap, same=same) == ""
