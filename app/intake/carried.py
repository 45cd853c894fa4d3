"""Pure: what is carried along with an account and given back: names, limits, tags, metadata, unknown columns."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import msgspec

from app.intake.address import BLANKS
from app.intake.fields import (
    BOOLEAN_FIELDS,
    CONTROL,
    EXTRA_COUNT_LIMIT,
    EXTRA_LIMIT,
    INTEGER_FIELDS,
    KNOWN_FIELDS,
    METADATA_LIMIT,
    NOT_STORED,
    NUMBER_FIELDS,
    TEXT_FIELDS,
    TEXT_LIMIT,
    kind_of,
    smells_secret,
)
from app.intake.reading import Reading

REMEMBERED_NAMES: Final = 100
REMEMBERED_CHARACTERS: Final = 4096
"""The most names of fields, and characters of them in all, of an entry whose names are remembered."""

_DEPTH_LIMIT: Final = 5
_TEXTS: Final = frozenset({str})
_Reader = Callable[[Reading, str], object]
_WHOLE_NUMBERS: Final = range(-(2**63), 2**64)
"""What can be written as JSON and read again by most; others are kept as text."""


def read_carried(reading: Reading) -> tuple[dict[str, object], dict[str, str]]:
    """Return what is carried along: the known fields that are kept with the account, JSON-able, and the unknown ones.

    Known fields that are empty are left out. Of unknown ones, those that smell of a secret are kept nowhere, and of
    lists and objects the name alone: what is in them could be anything.
    """
    names, values = tuple(reading.values), reading.values
    try:
        fields = _remember(names)
    except _LongNamesError:
        fields = _sort_names(names)
    details: dict[str, object] = {}
    for name, read in fields.known:
        value = read(reading, name)
        if value is not None and value != "":
            details[name] = value
    return details, {shown: _as_cell(values[name])[:EXTRA_LIMIT] for name, shown in fields.unknown}


@dataclass(frozen=True, slots=True)
class _CarriedFields:
    """Which of an entry's fields are carried along: known ones, with how they are read, and unknown ones.

    `unknown`: each with the name that it goes under.
    """

    known: tuple[tuple[str, _Reader], ...]
    unknown: tuple[tuple[str, str], ...]


class _LongNamesError(Exception):
    """Names that are not remembered: they may be as long as the body. Most rows of a body have the same few."""


@lru_cache(maxsize=256)
def _remember(names: tuple[str, ...]) -> _CarriedFields:
    if len(names) > REMEMBERED_NAMES or sum(map(len, names)) > REMEMBERED_CHARACTERS:
        raise _LongNamesError
    return _sort_names(names)


def _sort_names(names: tuple[str, ...]) -> _CarriedFields:
    known = tuple((name, _READERS[name]) for name in names if name in _READERS)
    unknown: dict[str, str] = {}
    for name in names:
        if name not in KNOWN_FIELDS and not smells_secret(name) and len(unknown) < EXTRA_COUNT_LIMIT:
            unknown[_clean(name)[:TEXT_LIMIT]] = name
    return _CarriedFields(known, tuple((name, shown) for shown, name in unknown.items()))


def _read_tags(reading: Reading, name: str) -> list[str] | None:
    tags = reading.values[name]
    if isinstance(tags, str):
        tags = re.split(r"[;,|]", tags)
    if isinstance(tags, list) and _TEXTS.issuperset(map(type, tags)):
        return [_clean(text)[:TEXT_LIMIT] for tag in tags if (text := tag.strip(BLANKS))] or None
    if tags is not None:
        reading.fail(name, "type", "tags must be a list of texts.")
    return None


def _read_metadata(reading: Reading, name: str) -> dict[str, object] | None:
    metadata = reading.values[name]
    if metadata in (None, ""):
        return None
    if not isinstance(metadata, dict):
        reading.fail(name, "type", f"metadata must be an object, not {kind_of(metadata)}.")
        return None
    kept = _keep_object(metadata, _DEPTH_LIMIT)
    if len(msgspec.json.encode(kept)) > METADATA_LIMIT:
        reading.fail(name, "too_long", f"metadata is longer than {METADATA_LIMIT} bytes.")
        return None
    return kept or None


def _keep_object(values: dict[str, object], depth: int) -> dict[str, object]:
    return {
        _clean(name)[:TEXT_LIMIT]: _keep(value, depth - 1) for name, value in values.items() if not smells_secret(name)
    }


def _keep(value: object, depth: int) -> object:
    if isinstance(value, str):
        return _clean(value)
    if depth > 0 and isinstance(value, dict):
        return _keep_object(value, depth)
    if depth > 0 and isinstance(value, list):
        return [_keep(entry, depth - 1) for entry in value]
    if isinstance(value, int):
        return value if value in _WHOLE_NUMBERS else str(value)
    return value if isinstance(value, float) else None


def _as_cell(value: object) -> str:
    if type(value) is str and value.isprintable():
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return CONTROL.sub(" ", _clean(str(value))) if isinstance(value, str | int | float) else ""


def _clean(text: str) -> str:
    return text if text.isprintable() else NOT_STORED.sub("\ufffd", text)


_READERS: Final[dict[str, _Reader]] = {
    **dict.fromkeys(TEXT_FIELDS, Reading.text),
    **dict.fromkeys(INTEGER_FIELDS, Reading.whole),
    **dict.fromkeys(BOOLEAN_FIELDS, Reading.flag),
    **dict.fromkeys(NUMBER_FIELDS, Reading.number),
    "tags": _read_tags,
    "metadata": _read_metadata,
}
"""How each field of `CARRIED_FIELDS` is read."""
