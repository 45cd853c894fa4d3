"""Pure: words in whatever letters a server wrote them, to text.

b"535 \\xc7\\xeb\\xca\\xb9\\xd3\\xc3\\xca\\xda\\xc8\\xa8\\xc2\\xeb" is Chinese in GB 2312; as Latin-1 it is pasted as
'535 ÇëÊ¹ÓÃÊÚÈ¨Âë', and Python prints it with its backslashes. No codec used here takes a byte of ASCII for half a
letter, so what stands there in plain letters stays as it is.
"""

import re
from typing import Final

LEAST_LETTERS: Final = 3
"""Fewer may be anything: two bytes are a Chinese letter as well as two of Latin-1."""

_HIGH: Final = re.compile(rb"[\x80-\xff]+")
_COMMON_HAN: Final = re.compile(rb"(?:[\xa1-\xa3\xb0-\xd7][\xa1-\xfe])+")
"""GB 2312's punctuation, and its first level: the letters that people use."""

_CYRILLIC: Final = re.compile(rb"[\xa8\xb8\xc0-\xff]+")
_MARKED: Final = re.compile(rb"(?<=[a-zA-Z'])[\xc0-\xff]{1,2}|[\xc0-\xff]{1,2}(?=[a-zA-Z])")
_ESCAPED: Final = re.compile(r"(?:\\x[89a-fA-F][0-9a-fA-F])+")
_ESCAPED_POINT: Final = re.compile(r"\\u(?!00[0-9])(?![dD][89a-fA-F])([0-9a-fA-F]{4})")
"""Neither a control nor half of a pair is made of an escape."""


def decode_words(raw: bytes) -> str:
    """Return the text in bytes; what is in no letters that are known becomes the mark for that."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode(_guess(raw), "replace")


def mend_letters(text: str) -> str:
    """Return a pasted text with the letters that its server wrote, where it was read as Latin-1 or is in escapes."""
    if "\\" in text:
        text = _ESCAPED.sub(lambda found: decode_words(bytes.fromhex(found[0].replace("\\x", ""))), text)
        text = _ESCAPED_POINT.sub(lambda found: chr(int(found[1], 16)), text)
    if text.isascii():
        return text
    try:
        raw = text.encode("latin-1")
    except UnicodeEncodeError:
        return text
    mended = decode_words(raw)
    return text if "\ufffd" in mended else mended


def _guess(raw: bytes) -> str:
    """Return the codec that bytes that are no UTF-8 are likely in; UTF-8: none of those known."""
    runs = _HIGH.findall(raw)
    if any(map(_is_utf_8, runs)):
        # A server that echoes what it was sent, a password it may be, does so as it came.
        return "utf-8"
    count = sum(map(len, runs))
    if count >= 2 * LEAST_LETTERS and all(map(_COMMON_HAN.fullmatch, runs)):
        return "gb2312"
    # Words of Cyrillic letters are long; of Latin ones, a letter has a mark here and there.
    if count >= 2 * LEAST_LETTERS and count >= 4 * len(runs) and all(map(_CYRILLIC.fullmatch, runs)):
        return "cp1251"
    return "latin-1" if _MARKED.findall(raw) == runs else "utf-8"


def _is_utf_8(run: bytes) -> bool:
    try:
        run.decode()
    except UnicodeDecodeError:
        return False
    return True
