"""Pure: the body of a connect request to rows, in slices that leave the loop its time; place 3 on the line.

[{"smtpEmailAddress": "sales@example.com", "smtpPassword": "…"}, …]
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec
from msgspec.structs import replace

from app.intake.address import login_key
from app.intake.row import not_an_object, read_row
from app.model import Row, RowError

SLICE_ROWS: Final = 50
STEP_BYTES: Final = 256 * 1024
BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
"""Some editors and shells put it before UTF-8; it says nothing there."""

_BETWEEN: Final = re.compile(rb"(?<=\})[ \t\r\n]*,(?=[ \t\r\n]*\{)")
"""What stands between two entries. It may stand in a text or a list too."""

_ENTRIES: Final = msgspec.json.Decoder(list[msgspec.Raw])
_ENTRY: Final = msgspec.json.Decoder()
_UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class BodyError(Exception):
    """The body as a whole cannot be read. The text says why, for the person who sent it."""


def split_json_array(body: bytes, step_bytes: int = STEP_BYTES) -> Iterator[list[msgspec.Raw]]:
    """Split a JSON array into its entries without reading them, some `step_bytes` at a time.

    An array whose entries hold lists of objects may come in larger parts.

    Raises:
        BodyError: not JSON, not an array, or an empty one.
    """
    body = body.removeprefix(BYTE_ORDER_MARK)
    if not body or body.isspace():
        raise BodyError("The body is empty: send a JSON array of accounts.")
    start = 0
    while (between := _BETWEEN.search(body, start + step_bytes)) is not None:
        try:
            # What is an array as far as here, once it is closed, is one entry after the other: none is cut in two.
            part = _ENTRIES.decode(b"".join((b"[" if start else b"", memoryview(body)[start : between.start()], b"]")))
        except _UNREADABLE:
            break
        yield part
        start = between.end()
    try:
        rest = _ENTRIES.decode(b"".join((b"[", memoryview(body)[start:])) if start else body)
    except _UNREADABLE:
        rest = _split_whole(body)  # whose words name the place in all of it
    if not rest and not start:
        raise BodyError("The array is empty: send at least one account.")
    yield rest


def _split_whole(body: bytes) -> list[msgspec.Raw]:
    try:
        return _ENTRIES.decode(body)
    except msgspec.ValidationError:
        raise BodyError("The body must be a JSON array of accounts, as in [{…}, {…}].") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BodyError(f"The body is not JSON: {_where(error)}.") from None
    except RecursionError:
        raise BodyError("The body is nested too deeply.") from None


def split_ndjson(body: bytes, step_bytes: int = STEP_BYTES) -> Iterator[list[bytes]]:
    """Split newline-delimited JSON into its lines, some `step_bytes` at a time; blank ones do not count.

    Raises:
        BodyError: there is no line.
    """
    start = len(BYTE_ORDER_MARK) if body.startswith(BYTE_ORDER_MARK) else 0
    is_empty = True
    while start < len(body):
        end = body.find(b"\n", start + step_bytes) + 1 or len(body)
        lines = [line for line in body[start:end].split(b"\n") if line.strip()]
        if lines:
            is_empty = False
            yield lines
        start = end
    if is_empty:
        raise BodyError("The body is empty: send one account a line.")


def read_entries(entries: Sequence[msgspec.Raw | bytes]) -> Iterator[list[Row]]:
    """Yield rows in slices, in order, numbered from 1. An entry that cannot be read is a row with an error."""
    for start in range(0, len(entries), SLICE_ROWS):
        part = entries[start : start + SLICE_ROWS]
        yield [_read_entry(entry, number) for number, entry in enumerate(part, start + 1)]


def read_records(records: Sequence[dict[str, object]]) -> Iterator[list[Row]]:
    """Yield rows of records that a sheet was read into, in slices."""
    for start in range(0, len(records), SLICE_ROWS):
        part = records[start : start + SLICE_ROWS]
        yield [read_row(record, number) for number, record in enumerate(part, start + 1)]


def cut_rows(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    """Yield rows that are read already in slices."""
    for start in range(0, len(rows), SLICE_ROWS):
        yield rows[start : start + SLICE_ROWS]


def mark_duplicates(rows: Iterable[Row], first: dict[str, int] | None = None) -> list[Row]:
    """Mark rows whose mailbox came before in the request; invalid rows count for nothing.

    Slice by slice, give every call the same `first`: it remembers the mailboxes so far.
    """
    first = {} if first is None else first
    marked = []
    for row in rows:
        earlier = 0 if row.errors else first.setdefault(login_key(row.email), row.row)
        marked.append(replace(row, duplicate_of=earlier) if earlier and earlier != row.row else row)
    return marked


def list_columns(rows: Iterable[Row]) -> list[str]:
    """Return the unknown columns of all rows, in the order they were first seen."""
    return list(dict.fromkeys(name for row in rows for name in row.extra))


def _read_entry(entry: msgspec.Raw | bytes, number: int) -> Row:
    try:
        values = _ENTRY.decode(entry)
    except _UNREADABLE as error:
        row = not_an_object(number, "text that is no JSON")
        words = f"Row {number} is not JSON: {_where(error)}."
        return replace(row, errors=(RowError(number, "", "type", words),))
    if not isinstance(values, dict):
        kinds = {list: "a list", str: "text", bool: "true or false", int: "a number", float: "a number"}
        return not_an_object(number, kinds.get(type(values), "null"))
    return read_row(values, number)


def _where(error: Exception) -> str:
    """Say where JSON breaks; msgspec's own words name a byte and never quote the input."""
    if isinstance(error, RecursionError):
        return "nested too deeply"
    words = str(error).removeprefix("JSON is malformed: ")
    return words if isinstance(error, msgspec.DecodeError) else "not UTF-8"
