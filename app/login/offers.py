"""I/O (what came in; no calls of its own): what a mail server says it offers.

250-AUTH PLAIN LOGIN
* CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN

Many mailboxes are on few servers, which tell them all the same: that is read once.
"""

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Final, TypeVar

from aiosmtplib.esmtp import parse_esmtp_extensions

from app.text import clean_text

SHOWN: Final = 64
REMEMBERED: Final = 64
LONGEST_REMEMBERED: Final = 1024
"""Characters or bytes. Most are a third of it; what strangers make longer does not stay in the memory."""


Said = TypeVar("Said", str, bytes)
Read = TypeVar("Read")


def _remember(read: Callable[[Said], Read]) -> Callable[[Said], Read]:
    recall: Callable[[Said], Read] = lru_cache(maxsize=REMEMBERED)(read)

    @wraps(read)
    def read_once(said: Said) -> Read:
        return recall(said) if len(said) <= LONGEST_REMEMBERED else read(said)

    return read_once


@_remember
def read_extensions(message: str) -> tuple[frozenset[str], frozenset[str], tuple[str, ...]]:
    """Read the answer to EHLO: extensions in lower case, the mechanisms of AUTH, and what of it is shown."""
    extensions, mechanisms = parse_esmtp_extensions(message)
    lines = clean_text(message).split("\n")[1 : SHOWN + 1]
    return frozenset(extensions), frozenset(map(str.upper, mechanisms)), tuple(map(str.upper, lines))


@_remember
def read_capabilities(words: bytes) -> frozenset[str]:
    """Read a list of IMAP's as it stands after the word CAPABILITY."""
    return frozenset(words.decode("ascii", "replace").upper().split())


@_remember
def show_capabilities(words: bytes) -> tuple[str, ...]:
    """Return what of such a list is shown."""
    return tuple(clean_text(" ".join(sorted(read_capabilities(words)))).split(" ")[:SHOWN])
