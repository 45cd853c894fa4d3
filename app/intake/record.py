"""Pure: the cells of one line of a sheet to the fields of an entry, as its columns were understood.

What is empty is left out. Where a column serves both sides, a side's own column goes before it.
"""

from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from app.intake.columns import Column, Use
from app.intake.encryption import normalise
from app.intake.fields import NO, SECRET_FIELDS, YES
from app.text import unguard_cell

Record = dict[str, object]

_SECRETS: Final = frozenset(SECRET_FIELDS)
_SWITCHES: Final = {"imap": "imap", "smtp": "smtp", "imapHost": "imap", "smtpHost": "smtp"}
"""A column called imap holds hosts in one sheet, yes and no in the next: the cells tell."""
_PORTS: Final = {
    **dict.fromkeys(("25", "465", "587", "2465", "2525", "2587"), "smtp"),
    **dict.fromkeys(("143", "993"), "imap"),
}


def make_reader(columns: Sequence[Column]) -> Callable[[Sequence[str]], Record]:
    """Return what turns a line's cells, as many as there are columns, into a record."""
    single = [
        (index, column.fields[0], column.fields[0] in _SECRETS, column.fields[0] in _SWITCHES)
        for index, column in enumerate(columns)
        if column.use is Use.FIELD and len(column.fields) == 1
    ]
    paired = [
        (index, column.fields, column.fields[0] in _SECRETS)
        for index, column in enumerate(columns)
        if column.use is Use.FIELD and len(column.fields) > 1
    ]
    kept = [(index, column.header) for index, column in enumerate(columns) if column.use is Use.METADATA]
    extra = [(index, column.header) for index, column in enumerate(columns) if column.use is Use.EXTRA]

    def read(cells: Sequence[str]) -> Record:
        record: Record = {}
        for index, field, is_secret, is_switch in single:
            cell = cells[index]
            if cell and not cell.isspace():
                if is_switch:
                    _put_switch(record, field, cell)
                else:
                    # A report never holds a secret, so an apostrophe before one is the secret's own.
                    record[field] = cell if is_secret or cell[0] != "'" else unguard_cell(cell)
        for index, fields, is_secret in paired:
            cell = cells[index]
            if cell and not cell.isspace():
                cell = cell if is_secret else unguard_cell(cell)
                for field in _sides_of(fields, cell):
                    record.setdefault(field, cell)
        metadata = _read_metadata(kept, cells) if kept else None
        if metadata:
            record["metadata"] = metadata
        for index, name in extra:
            record[name] = unguard_cell(cells[index])
        return record

    return read


def _put_switch(record: Record, field: str, cell: str) -> None:
    if cell.strip().lower() in YES | NO:
        record[_SWITCHES[field]] = cell
    elif field.endswith("Host"):
        record[field] = unguard_cell(cell)


def _sides_of(fields: tuple[str, ...], cell: str) -> tuple[str, ...]:
    """Return the fields that a cell can be meant for: one column `port` with 993 in it speaks of IMAP alone."""
    side = ""
    if fields[0] == "smtpPort":
        side = _PORTS.get(cell.strip().removesuffix(".0"), "")
    elif fields[0] == "smtpHost":
        side = cell.strip().lower().partition(".")[0]
    return tuple(field for field in fields if field.startswith(side)) if side in {"smtp", "imap"} else fields


def _read_metadata(kept: Sequence[tuple[int, str]], cells: Sequence[str]) -> Record:
    """Return the metadata of a line. A column called metadata may hold all of it, as a JSON object."""
    metadata: Record = {}
    for index, name in kept:
        cell = unguard_cell(cells[index])
        if cell and not cell.isspace():
            metadata |= (_read_object(cell) if normalise(name) == "metadata" else None) or {name: cell}
    return metadata


def _read_object(cell: str) -> Record | None:
    try:
        values = msgspec.json.decode(cell)
    except (msgspec.DecodeError, RecursionError):
        return None
    return values if isinstance(values, dict) else None
