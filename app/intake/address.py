"""Pure: mail addresses, host names and user names as people write them, brought into one form.

" Sales@Example.COM "  ->  Sales@example.com
"imaps://imap.example.com:993/"  ->  host imap.example.com, port 993
"""

import re
import unicodedata
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Final

from email_validator import EmailNotValidError, validate_email
from publicsuffixlist import PublicSuffixList

BLANKS: Final = " \t\r\n\u00a0\u200b\u200c\u200d\u2060\ufeff"
_LABEL: Final = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)", re.IGNORECASE)
REMEMBERED: Final = 4096
"""Rows of one file repeat themselves: hosts, domains and words are read once."""

_SCHEME: Final = re.compile(r"^(ssl|tls|imaps|smtps|imap|smtp)://", re.IGNORECASE)
_LITERAL: Final = re.compile(r"^\[?[0-9a-f:.]*:[0-9a-f:.]*:[0-9a-f:.%]*\]?$", re.IGNORECASE)
_PLAIN_HOST: Final = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
"""A host's name as most cells hold it: nothing to mend."""
_IN_BRACKETS: Final = re.compile(r"^(?P<name>.*)<(?P<address>[^<>]+)>$")


@dataclass(frozen=True, slots=True)
class HostParts:
    """A host cell taken apart. `port` 0: none in it. `is_tls`: the scheme says implicit TLS."""

    host: str
    port: int = 0
    is_tls: bool = False


def trim(text: str) -> str:
    """Drop outer blanks, no-break and zero-width ones included."""
    return text.strip(BLANKS)


def parse_address(text: str) -> str:
    """Return an address with its domain in lower case, as Unicode where it is international; empty if it is none.

    `mailto:` and `Name <address>` are unpacked.
    """
    if not _is_plain(text):
        text = _unpack(text)
        if not _is_plain(text):
            return _parse_odd(text)
    local, _, domain = text.rpartition("@")
    return text if domain.islower() else f"{local}@{domain.lower()}"


def _unpack(text: str) -> str:
    text = trim(text)
    match = _IN_BRACKETS.match(text)
    return trim(match["address"] if match else text).removeprefix("mailto:")


def _parse_odd(text: str) -> str:
    try:
        parts = validate_email(
            text, check_deliverability=False, allow_smtputf8=True, test_environment=True, allow_domain_literal=False
        )
    except EmailNotValidError:
        return ""
    return f"{parts.local_part}@{parts.domain.lower()}"


def split_domain(address: str) -> tuple[str, str]:
    """Split an address into local part and domain."""
    local, _, domain = address.rpartition("@")
    return local, domain


@lru_cache(maxsize=REMEMBERED)
def parse_host(text: str) -> HostParts | None:
    """Take a host cell apart; None if it holds no host. Literal addresses pass: the guard judges them."""
    if len(text) <= 253 and _PLAIN_HOST.fullmatch(text):
        return HostParts(text)
    text = trim(text)
    scheme = _SCHEME.match(text)
    is_tls = scheme is not None and scheme[1].lower() in {"ssl", "tls", "imaps", "smtps"}
    text = _SCHEME.sub("", text).rstrip("/")
    if _LITERAL.match(text):
        return HostParts(text.strip("[]").lower(), 0, is_tls)
    host, colon, port = text.rpartition(":")
    if colon and port.isdigit() and 1 <= int(port) <= 65535:
        text, number = host, int(port)
    else:
        number = 0
    text = unicodedata.normalize("NFC", text.rstrip(".")).lower()
    return HostParts(text, number, is_tls) if is_host(text) else None


def is_host(text: str) -> bool:
    """Tell whether a text can be a host's name: labels of letters, digits and hyphens, 253 octets at most."""
    if text.isascii():
        ascii_name = text
    else:
        try:
            ascii_name = text.encode("idna").decode()
        except UnicodeError:
            return False
    return 0 < len(ascii_name) <= 253 and all(_LABEL.fullmatch(label) for label in ascii_name.split("."))


@lru_cache(maxsize=REMEMBERED)
def organisation_of(host: str) -> str:
    """Return the registrable domain of a host (`mail.example.co.uk` is example.co.uk's), or the host itself."""
    if ":" in host or host.replace(".", "").isdigit():
        return host
    return _suffixes().privatesuffix(host) or host


def login_key(address: str) -> str:
    """Return what two spellings of one mailbox have in common."""
    return unicodedata.normalize("NFC", address).casefold()


def load_suffixes() -> None:
    """Read the public suffix list now rather than with the first host: it takes a tenth of a second."""
    _suffixes()


@cache
def _suffixes() -> PublicSuffixList:
    return PublicSuffixList()


_PLAIN: Final = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]{2,63}"
)


def _is_plain(text: str) -> bool:
    """Tell whether an address is so plain that nothing needs asking (RFC 5321, section 4.1.2); most are.

    Two hyphens may be an international domain in its ASCII form (`xn--`), which is to be read.
    """
    return len(text) <= 254 and text.find("@") <= 64 and "--" not in text and _PLAIN.fullmatch(text) is not None
