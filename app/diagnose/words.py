"""Pure: hundreds of patterns asked of one text in a blink.

A pattern such as `quota[^.]{0,30}(?:exceed|full)` cannot match where its plain letters, here `quota`, are missing;
looking for those costs next to nothing, and most patterns need no more.
"""

import re
from collections import defaultdict
from collections.abc import Iterable
from typing import Final

LEAST_LETTERS: Final = 2
"""Shorter runs are in every text."""

_NO_LETTER: Final = frozenset("bBdDwWsSAZ0123456789")
"""After a backslash: a class or a place, no letter."""

_OPTIONAL: Final = ("?", "*", "{0", "{,")


class Words:
    """Patterns of which one must be found."""

    __slots__ = ("_keyed", "_others")

    def __init__(self, patterns: Iterable[str]) -> None:
        keyed: dict[str, list[str]] = defaultdict(list)
        for pattern in patterns:
            keyed[find_letters(pattern)].append(pattern)
        others = keyed.pop("", [])
        self._keyed = tuple((letters, re.compile("|".join(listed))) for letters, listed in keyed.items())
        self._others = re.compile("|".join(others)) if others else None

    def are_in(self, text: str) -> bool:
        """Tell whether one of the patterns is found in the text."""
        for letters, pattern in self._keyed:
            if letters in text and pattern.search(text) is not None:
                return True
        return self._others is not None and self._others.search(text) is not None


def find_letters(pattern: str) -> str:
    """Return the longest run of plain letters that whatever matches the pattern must hold; empty: none."""
    best = run = ""
    at = 0
    while at < len(pattern):
        end = _end_of_part(pattern, at)
        part = pattern[at:end]
        if part == "|":
            return ""
        letter = part[-1] if _is_letter(part) else ""
        after = _end_of_count(pattern, end)
        if letter and not pattern.startswith(_OPTIONAL, end):
            run += letter
            letter = "" if after > end else letter
        else:
            letter = ""
        best = max(best, run, key=len)
        run = run if letter else ""
        at = after
    return best if len(best) >= LEAST_LETTERS else ""


def _is_letter(part: str) -> bool:
    if part[0] == "\\":
        return part[1] not in _NO_LETTER
    return len(part) == 1 and part not in "^$."


def _end_of_part(pattern: str, at: int) -> int:
    """Return where a letter, an escape, a class in brackets or a group ends."""
    if pattern[at] == "\\":
        return at + 2
    if pattern[at] == "[":
        at += 2 if pattern[at + 1] == "^" else 1
        at += pattern[at] == "]"  # the first in brackets may be a bracket itself
        while pattern[at] != "]":
            at += 2 if pattern[at] == "\\" else 1
        return at + 1
    if pattern[at] == "(":
        at += 1
        while pattern[at] != ")":
            at = _end_of_part(pattern, at)
    return at + 1


def _end_of_count(pattern: str, at: int) -> int:
    """Return where what says how often a part may stand ends; `at` itself: nothing does."""
    if at < len(pattern) and pattern[at] in "?*+{":
        at = pattern.index("}", at) + 1 if pattern[at] == "{" else at + 1
        at += at < len(pattern) and pattern[at] in "?+"
    return at
