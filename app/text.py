r"""Pure: text from strangers, made safe to store, print and show; the secrets it may quote are starred out.

A server's reply can hold anything, such as `535 5.7.8 \x1b[31mbad\x00 password "hunter2"\r\n`.
"""

import base64
import re
from collections.abc import Sequence

from app.letters import decode_words

STARS = "***"
REPLY_LIMIT_BYTES = 4096
SHORTEST_NEEDLE = 4
"""Shorter secrets are starred only where they stand alone, or every text would be holes."""

_ESCAPES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # colours, cursor
    r"|(?:\x1b\]|\x9d)[^\x07\x1b\x9c\n]*(?:\x07|\x1b\\|\x9c)?"  # window titles, links
    r"|\x1b[ -~]?"
)
_LINE_ENDS = re.compile(r"\r\n?|[\u2028\u2029\x85]")
_BLANKS = re.compile(r"[\t\v\f]")
# C0 but newline, DEL, C1, soft hyphen, bidirectional marks and overrides, zero-width and byte order marks.
_UNSEEN = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]"
)
_SURROGATES = re.compile("[\ud800-\udfff]")
_UNDECODED = re.compile("[\udc80-\udcff]")
_LONE = re.compile("[\ud800-\udc7f\udd00-\udfff]")
_CALCULATED = frozenset("=+-@\t\r'")
_GUARDED = re.compile(r"'+[=+\-@\t\r]")
_TO_GUARD = re.compile(r"'*[=+\-@\t\r]")


def clean_text(raw: bytes | str, needles: Sequence[str] = (), limit: int = REPLY_LIMIT_BYTES) -> str:
    """Return `raw` as plain text: newlines kept, other controls and escape sequences gone, secrets starred.

    `needles`: what must not be seen, see `list_needles`. `limit`: bytes of UTF-8, cut between characters
    and after the starring, so that no part of a secret is left at the end.
    """
    # A server echoes a secret as it was sent, in UTF-8, whatever letters are guessed for its own words; so before that.
    text = _star_all(raw.decode("utf-8", "surrogateescape") if isinstance(raw, bytes) else raw, needles)
    text = _star_all(_plain(text), needles)
    if len(text) * 4 <= limit:
        return text
    encoded = text.encode()
    return text if len(encoded) <= limit else encoded[:limit].decode(errors="ignore").rstrip()


def guard_cell(text: str) -> str:
    """Return a text as a cell that no spreadsheet calculates: what begins with = + - @ tab or CR gets an apostrophe.

    So does one that has apostrophes before such a mark already; taking one off always gives the text that was.
    """
    return "'" + text if text[:1] in _CALCULATED and _TO_GUARD.match(text) else text


def unguard_cell(cell: str) -> str:
    """Return the text that `guard_cell` was given."""
    return cell[1:] if cell[:1] == "'" and _GUARDED.match(cell) else cell


def list_needles(username: str, secret: str) -> tuple[str, ...]:
    """List the ways in which a server may echo `secret`, longest first.

    As it is; quoted for IMAP; its base64; the SASL strings that hold it: PLAIN (RFC 4616), XOAUTH2 and
    OAUTHBEARER (RFC 7628), of which any part that carries the secret is recognised, wherever it begins.
    """
    if not secret:
        return ()
    raw = secret.encode("utf-8", "replace")
    found = {secret, _plain(secret), secret.replace("\\", "\\\\").replace('"', '\\"'), base64.b64encode(raw).decode()}
    if len(raw) >= SHORTEST_NEEDLE:
        found.update(_base64_cores(raw))
    plain = b"\0" + username.encode("utf-8", "replace") + b"\0" + raw
    found.add(base64.b64encode(plain).decode())
    return tuple(sorted(filter(None, found), key=len, reverse=True))


def _plain(text: str) -> str:
    if text.isascii() and text.isprintable():
        return text
    if _UNDECODED.search(text):
        text = decode_words(text.encode("utf-8", "surrogateescape" if not _LONE.search(text) else "replace"))
    text = _ESCAPES.sub("", text)
    text = _LINE_ENDS.sub("\n", text)
    text = _BLANKS.sub(" ", text)
    text = _UNSEEN.sub("", text)
    return _SURROGATES.sub("\ufffd", text).strip()


def _star_all(text: str, needles: Sequence[str]) -> str:
    for needle in needles:
        text = _star(text, needle)
    return text


def _star(text: str, needle: str) -> str:
    if needle not in text:
        return text
    if len(needle) >= SHORTEST_NEEDLE:
        return text.replace(needle, STARS)
    return re.sub(rf"(?<!\w){re.escape(needle)}(?!\w)", STARS, text)


def _base64_cores(raw: bytes) -> list[str]:
    """Return what base64 makes of `raw` in the middle of something else: one text for each of three offsets."""
    cores = []
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + raw).decode().rstrip("=")
        # The characters at either end mix in the neighbours' bits: leave them out.
        first = (before * 8 + 5) // 6
        last = (before + len(raw)) * 8 // 6
        cores.append(encoded[first:last])
    return cores
