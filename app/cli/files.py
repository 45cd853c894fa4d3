"""I/O: a file of mailboxes: CSV with the headers of any tool, a JSON array, or JSON lines.

They are told apart by their first character.
"""

import sys
from pathlib import Path
from typing import Any

import msgspec

from app.cli.root import EXIT_USAGE, CommandError

Json = dict[str, Any]


def read_rows(path: Path) -> list[Json]:
    """Read the rows of a file; `-` is standard input. Values stay as they are: the service judges them.

    Raises:
        CommandError: it cannot be read, or holds no rows.
    """
    try:
        body = sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}", EXIT_USAGE) from None
    first = body.lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
    if first == b"[":
        rows = _read_array(path, body)
    elif first == b"{":
        rows = _read_lines(path, body)
    else:
        rows = _read_sheet(path, body)
    if not rows:
        raise CommandError(f"{path}: no rows in it", EXIT_USAGE)
    return rows


def _read_array(path: Path, body: bytes) -> list[Json]:
    try:
        found = msgspec.json.decode(body.removeprefix(b"\xef\xbb\xbf"))
    except (msgspec.DecodeError, RecursionError) as error:
        raise CommandError(f"{path}: {_words(error)}", EXIT_USAGE) from None
    for number, row in enumerate(found, 1):
        if not isinstance(row, dict):
            raise CommandError(f"{path}: entry {number} is not an object", EXIT_USAGE)
    return list(found)


def _read_lines(path: Path, body: bytes) -> list[Json]:
    rows = []
    for number, line in enumerate(body.removeprefix(b"\xef\xbb\xbf").splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = msgspec.json.decode(line)
        except (msgspec.DecodeError, RecursionError) as error:
            raise CommandError(f"{path}, line {number}: {_words(error)}", EXIT_USAGE) from None
        if not isinstance(row, dict):
            raise CommandError(f"{path}, line {number}: not an object", EXIT_USAGE)
        rows.append(row)
    return rows


def _words(error: Exception) -> str:
    """msgspec names the place and never quotes the input."""
    return "nested too deeply" if isinstance(error, RecursionError) else f"not JSON: {error}"


def _read_sheet(path: Path, body: bytes) -> list[Json]:
    from app.intake.body import BodyError
    from app.intake.sheet import open_sheet, split_sheet

    try:
        lines = list(split_sheet(open_sheet(body)))
    except BodyError as error:
        raise CommandError(f"{path}: {error}", EXIT_USAGE) from None
    for line in lines:
        if line.error is not None:
            raise CommandError(f"{path}: {line.error.message}", EXIT_USAGE)
    return [line.record for line in lines]
