"""Pure: what an encryption cell means on a port (`data/encryption-values.csv`)."""

import csv
import re
from functools import cache, lru_cache
from importlib.resources import files

from app.model import Encryption

USUAL_PORTS = {
    ("smtp", Encryption.SSL): 465,
    ("smtp", Encryption.STARTTLS): 587,
    ("smtp", Encryption.NONE): 587,
    ("imap", Encryption.SSL): 993,
    ("imap", Encryption.STARTTLS): 143,
    ("imap", Encryption.NONE): 143,
}
"""RFC 8314, section 7.3, and RFC 6409, section 3.1."""

_DROPPED = re.compile(r"[\ufeff\u200b\u200c\u200d\u2060\s_\-./\\()\[\]{}<>]+")


def normalise(text: str) -> str:
    """Return headers, provider names and encryption words in the form they are looked up by."""
    return _DROPPED.sub("", text).lower()


@lru_cache(maxsize=1024)
def parse_encryption(text: str, port: int) -> Encryption | None:
    """Return what `text` means on `port` (0: unknown); None: nobody knows.

    Empty text is read from the port alone.
    """
    table = _table()
    word = normalise(text)
    return table.get((word, str(port))) or table.get((word, "*"))


@lru_cache(maxsize=1024)
def is_port_needed(text: str) -> bool:
    """Tell whether the word means one thing on one port and another on the next (`tls`, `true`)."""
    word = normalise(text)
    return len({meaning for (raw, _), meaning in _table().items() if raw == word}) > 1


@cache
def _table() -> dict[tuple[str, str], Encryption]:
    text = files(__package__).joinpath("data/encryption-values.csv").read_text("utf-8")
    return {(row["raw"], row["port"]): Encryption(row["encryption"]) for row in csv.DictReader(text.splitlines())}
