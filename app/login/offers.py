"""I/O (what came in; no calls of its own): what a mail server says it offers.

250-AUTH PLAIN LOGIN
* CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN

Many mailboxes are on few servers, which tell them all the same: that is read once.
"""

from functools import lru_cache
from typing import Final

from aiosmtplib.esmtp import parse_esmtp_extensions

from app.text import clean_text

SHOWN: Final = 64
REMEMBERED: Final = 64
LONGEST_REMEMBERED: Final = 1024
"""Characters or bytes. Most are a third of it; what strangers make longer does not stay in the memory."""


def read_extensions(message: str) -> tuple[frozenset[str], frozenset[str], tuple[str, ...]]:
    """Read the answer to EHLO: extensions in lower case, the mechanisms of AUTH, and what of it is shown."""
    return (_remember_extensions if len(message) <= LONGEST_REMEMBERED else _read_extensions)(message)


def read_capabilities(words: bytes) -> tuple[frozenset[str], tuple[str, ...]]:
    """Read a list of IMAP's as it stands after the word CAPABILITY, and tell what of it is shown."""
    return (_remember_capabilities if len(words) <= LONGEST_REMEMBERED else _read_capabilities)(words)


def _read_extensions(message: str) -> tuple[frozenset[str], frozenset[str], tuple[str, ...]]:
    extensions, mechanisms = parse_esmtp_extensions(message)
    lines = clean_text(message).split("\n")[1 : SHOWN + 1]
    return frozenset(extensions), frozenset(map(str.upper, mechanisms)), tuple(map(str.upper, lines))


def _read_capabilities(words: bytes) -> tuple[frozenset[str], tuple[str, ...]]:
    offers = frozenset(words.decode("ascii", "replace").upper().split())
    return offers, tuple(clean_text(" ".join(sorted(offers))).split(" ")[:SHOWN])


_remember_extensions: Final = lru_cache(maxsize=REMEMBERED)(_read_extensions)
_remember_capabilities: Final = lru_cache(maxsize=REMEMBERED)(_read_capabilities)
