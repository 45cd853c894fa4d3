"""Pure: cells that are safe in a spreadsheet, and back again.

A spreadsheet calculates what begins with = + - @ tab or CR. Such a cell gets a leading apostrophe; so does one that
already begins with apostrophes before such a mark, so that taking one off always gives the cell that was.
"""

import re
from datetime import UTC, datetime
from typing import Final

_CALCULATED: Final = frozenset("=+-@\t\r'")
_GUARDED: Final = re.compile(r"'+[=+\-@\t\r]")
_TO_GUARD: Final = re.compile(r"'*[=+\-@\t\r]")


def guard_cell(text: str) -> str:
    """Return a text as a cell that no spreadsheet calculates."""
    return "'" + text if text[:1] in _CALCULATED and _TO_GUARD.match(text) else text


def unguard_cell(cell: str) -> str:
    """Return the text that `guard_cell` was given."""
    return cell[1:] if cell[:1] == "'" and _GUARDED.match(cell) else cell


def render_time(moment: datetime) -> str:
    """Write a moment as RFC 3339 has it, in UTC, to the second: 2026-11-21T08:15:30Z."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
