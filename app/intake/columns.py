"""Pure: the headers of a sheet to the fields of an account (`data/header-aliases.csv`).

"SMTP Host", "smtp_server"  ->  smtpHost
"Email", "from_email"       ->  smtpEmailAddress and imapEmailAddress, where a column of its own does not say more
"Warmup Limit"              ->  metadata, under the header as it stands
"Cost centre"               ->  unknown: carried along
"""

import csv
from collections.abc import Sequence, Set
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Final

from app.intake.address import trim
from app.intake.encryption import normalise
from app.intake.fields import KNOWN_FIELDS, smells_secret
from app.text import unguard_cell

BOTH: Final = "both:"
"""Marks what serves both sides: `both:host` is smtpHost and imapHost."""

_UNKNOWN: Final = ("", 0)


class Use(StrEnum):
    """What becomes of a column."""

    FIELD = "field"
    """Its cells are fields of the account."""
    METADATA = "metadata"
    """Its cells are kept in the account's metadata, under the column's own header."""
    EXTRA = "extra"
    """Nobody knows it: its cells are carried into the report."""
    IGNORED = "ignored"
    """Its cells are not looked at: an earlier report's results, secrets that no login needs, what has no header."""


@dataclass(frozen=True, slots=True)
class Column:
    """How a column was understood. `fields`: the account's fields that it fills, by the API's names."""

    header: str
    use: Use
    fields: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """What to call it in a row error: the field, or the header where it is none."""
        return self.fields[0] if self.fields else self.header


def understand_columns(headers: Sequence[str]) -> tuple[Column, ...]:
    """Return one column per header, in order.

    Where two headers mean the same, the better known name wins (`rank` in the table), then the first; the other one
    is carried along as if it were unknown.
    """
    names = [trim(unguard_cell(header)) for header in headers]
    meanings = [_table().get(normalise(name), _UNKNOWN) for name in names]
    winners: dict[str, int] = {}
    for index, (field, rank) in enumerate(meanings):
        best = winners.setdefault(field, index)
        if rank < meanings[best][1]:
            winners[field] = index
    columns: list[Column] = []
    taken: set[str] = set()
    for index, name in enumerate(names):
        field = meanings[index][0]
        if winners[field] != index and field not in {"metadata", "ignore"}:
            # Such as displayName beside fromName, imap beside imapHost: by its own name it is a field still.
            own = _own_fields().get(normalise(name), "")
            field = own if winners.setdefault(own, index) == index else ""
        header = _make_unique(name, taken if field else taken | KNOWN_FIELDS)
        taken.add(header)
        columns.append(_understand(header, field))
    return tuple(columns)


def _understand(header: str, field: str) -> Column:
    if field == "ignore" or not header:
        return Column(header, Use.IGNORED)
    if field == "metadata":
        return Column(header, Use.METADATA, ("metadata",))
    if not field:
        return Column(header, Use.IGNORED if smells_secret(header) else Use.EXTRA)
    if not field.startswith(BOTH):
        return Column(header, Use.FIELD, (field,))
    name = field.removeprefix(BOTH)
    name = name[0].upper() + name[1:]
    return Column(header, Use.FIELD, (f"smtp{name}", f"imap{name}"))


def _make_unique(name: str, taken: Set[str]) -> str:
    """Return a name that no column before has, so that no cell takes another's place."""
    header, count = name, 1
    while header and header in taken:
        count += 1
        header = f"{name} ({count})"
    return header


@cache
def _own_fields() -> dict[str, str]:
    return {normalise(field): field for field in KNOWN_FIELDS}


@cache
def _table() -> dict[str, tuple[str, int]]:
    """Return field and rank by header. Fields that rows do not know are unknown columns."""
    text = files(__package__).joinpath("data/header-aliases.csv").read_text("utf-8")
    table = {word: (field, 1) for word, field in _own_fields().items()}
    for line in csv.DictReader(text.splitlines()):
        field = line["field"]
        if field in KNOWN_FIELDS or field == "ignore" or field.startswith(BOTH):
            table[line["alias"]] = (field, int(line["rank"]))
    return table
