"""Pure: a sheet of mailboxes (CSV text with a header line) to rows; place 3 on the line.

Email;SMTP Host;SMTP Port;Password
sales@example.com;smtp.example.com;465;"two ""quoted"" words"
"""

import codecs
import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from msgspec.structs import replace

from app.intake.body import SLICE_ROWS, BodyError
from app.intake.columns import Column, Use, understand_columns
from app.intake.record import Record, make_reader
from app.intake.row import broken_row, read_row
from app.model import Row, RowError

SEPARATORS: Final = ",;\t|"
_SEPARATOR_WORDS: Final = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a vertical bar"}
MOST_LINES: Final = 500
"""Lines that one row may cover, such as a signature of many lines: one quotation mark too many shall not eat a file."""

_NAMED_SEPARATOR: Final = re.compile(r'"?sep=([,;\t|])"?', re.IGNORECASE)
_UTF_16: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_WORKBOOKS: Final = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
_NOT_UTF_8: Final = re.compile("[\ud800-\udfff]")
_EMPTY: Final = '"\t\r '
"""What an empty cell may be written with."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """A sheet whose header was read. `lines` are its physical lines, the rows' beginning at `start`."""

    columns: tuple[Column, ...]
    separator: str
    start: int
    is_utf_8: bool
    lines: Sequence[str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Line:
    """One row of a sheet before it is read. `error`: why it cannot be; then `record` holds what could be read."""

    row: int
    record: Record = field(repr=False)
    error: RowError | None = None


def open_sheet(body: bytes) -> Sheet:
    """Read the header of a sheet. What separates its cells, and how its text is encoded, is found out.

    Raises:
        BodyError: it is no CSV text, none of its columns is known, or there is no row.
    """
    text, is_utf_8 = _decode(body)
    # A carriage return at a line's end is taken off line by line: here, a large sheet would hold everybody up.
    lines = text.split("\n" if "\n" in text else "\r")
    start = _skip_blank(lines, 0)
    named = _NAMED_SEPARATOR.fullmatch(lines[start].strip(" \r")) if start < len(lines) else None
    if named is not None:
        start = _skip_blank(lines, start + 1)
    if start == len(lines):
        raise BodyError("The sheet is empty: send a header line and one row an account.")
    columns, separator, after = _read_header(lines, start, named[1] if named is not None else SEPARATORS)
    if all(not line.strip(separator + _EMPTY) for line in lines[after:]):
        raise BodyError("The sheet has no rows: send a header line and one row an account.")
    return Sheet(columns, separator, after, is_utf_8, lines)


def read_sheet(sheet: Sheet) -> Iterator[list[Row]]:
    """Yield rows in slices, in order, numbered from 1. A line that cannot be read is a row with an error."""
    rows: list[Row] = []
    for line in split_sheet(sheet):
        rows.append(_read_line(line))
        if len(rows) == SLICE_ROWS:
            yield rows
            rows = []
    if rows:
        yield rows


def split_sheet(sheet: Sheet) -> Iterator[Line]:
    """Yield the lines of a sheet as records of the API's fields; lines without any cell do not count."""
    read, columns, width = make_reader(sheet.columns), sheet.columns, len(sheet.columns)
    row = 0
    for at, cells, fault in _split_lines(sheet.lines, sheet.start, sheet.separator):
        if not fault and not any(cell.strip() for cell in cells):
            continue
        row += 1
        place = f"Row {row} (line {at + 1} of the sheet)"
        if fault:
            label = columns[min(len(cells), width) - 1].label
            yield Line(row, {}, RowError(row, label, "format", f"{place} cannot be read at {label}: {fault}."))
        elif len(cells) > width and any(cells[width:]):
            words = f"{place} has {len(cells)} cells and the header {width}: a cell that holds "
            words += f"{_SEPARATOR_WORDS[sheet.separator]} must stand in quotation marks."
            yield Line(row, {}, RowError(row, columns[-1].label, "format", words))
        else:
            record = read(cells if len(cells) >= width else cells + [""] * (width - len(cells)))
            error = None if sheet.is_utf_8 else _find_other_encoding(row, place, columns, cells)
            yield Line(row, record, error)


def _find_other_encoding(row: int, place: str, columns: Sequence[Column], cells: Sequence[str]) -> RowError | None:
    """Return what to tell of a row in which a field is not UTF-8: a password guessed wrong would lock a mailbox."""
    for column, cell in zip(columns, cells, strict=False):
        if column.use is Use.FIELD and _NOT_UTF_8.search(cell):
            words = f"{place} holds letters in {column.label} that are not UTF-8: save the sheet as CSV UTF-8."
            return RowError(row, column.label, "format", words)
    return None


def _read_line(line: Line) -> Row:
    if line.error is None:
        return read_row(line.record, line.row)
    if not line.record:
        return replace(broken_row(line.row, ""), errors=(line.error,))
    return replace(read_row(line.record, line.row), errors=(line.error,))


def _decode(body: bytes) -> tuple[str, bool]:
    """Return a sheet's text, and whether all of it could be read; what could not is left as surrogates."""
    if body.startswith(_WORKBOOKS):
        raise BodyError("This is a workbook, not a CSV file: save the sheet as CSV UTF-8 and send that.")
    if body.startswith(_UTF_16):
        try:
            return body.decode("utf-16"), True
        except UnicodeDecodeError:
            raise BodyError("The sheet begins as UTF-16 text and is none: save it as CSV UTF-8.") from None
    body = body.removeprefix(codecs.BOM_UTF8)
    try:
        return body.decode(), True
    except UnicodeDecodeError:
        return body.decode(errors="surrogateescape"), False


def _read_header(lines: Sequence[str], start: int, separators: str) -> tuple[tuple[Column, ...], str, int]:
    """Return columns, separator and the line after the header: with the separator that gives most known columns."""
    found: list[tuple[int, int, tuple[Column, ...], str, int]] = []
    for separator in separators:
        cells, after, fault = _split_line(lines, start, separator)
        columns = () if fault else understand_columns([_NOT_UTF_8.sub("\ufffd", cell) for cell in cells])
        known = sum(column.use is Use.FIELD for column in columns)
        found.append((known, len(columns), columns, separator, after))
    # Of equals, the first stays.
    known, _, columns, separator, after = max(found, key=lambda entry: entry[:2])
    if not known:
        words = "No column of the first line is known. It must be a header with names such as email, password, "
        raise BodyError(words + "smtp_host, smtp_port, imap_host, imap_port.")
    return columns, separator, after


def _split_lines(lines: Sequence[str], start: int, separator: str) -> Iterator[tuple[int, list[str], str]]:
    """Yield where a row begins, its cells, and what is wrong with the last of them."""
    at = start
    while at < len(lines):
        line = lines[at]
        if '"' in line:
            cells, after, fault = _split_line(lines, at, separator)
            yield at, cells, fault
            at = after
        else:
            yield at, (line[:-1] if line[-1:] == "\r" else line).split(separator), ""
            at += 1


def _split_line(lines: Sequence[str], at: int, separator: str) -> tuple[list[str], int, str]:
    """Return a row's cells, where the next row begins, and what is wrong with the last cell (RFC 4180)."""
    reader = csv.reader((line + "\n" for line in lines[at : at + MOST_LINES]), delimiter=separator, strict=True)
    try:
        cells = next(reader)
    except csv.Error as error:
        cells = _list_sound_cells(lines[at].rstrip("\r"), separator)
        is_long = "limit" in str(error)
        return cells, at + 1, "a cell is too long" if is_long else "its quotation marks do not match"
    if reader.line_num > 1:
        cells = [cell.replace("\r\n", "\n") for cell in cells]
    return cells, at + reader.line_num, ""


def _list_sound_cells(line: str, separator: str) -> list[str]:
    """Return the cells of a broken line up to the one that is broken, which is the last."""
    sound = re.compile(rf'(?:"(?:[^"]|"")*"|(?!")[^{separator}]*)(?:{re.escape(separator)}|$)')
    cells, at = [], 0
    while at < len(line) and (match := sound.match(line, at)) is not None:
        cells.append(match[0])
        at = match.end()
    return [*cells, line[at:]]


def _skip_blank(lines: Sequence[str], at: int) -> int:
    while at < len(lines) and not lines[at].strip():
        at += 1
    return at
