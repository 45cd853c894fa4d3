"""Pure: what is carried along with an account and given back: names, limits, tags, metadata, unknown columns."""

import re
from typing import Final

import msgspec

from app.intake.address import trim
from app.intake.fields import (
    BOOLEAN_FIELDS,
    CARRIED_FIELDS,
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

_DEPTH_LIMIT: Final = 5
_WHOLE_NUMBERS: Final = range(-(2**63), 2**64)
"""What can be written as JSON and read again by most; others are kept as text."""


def read_carried(reading: Reading) -> dict[str, object]:
    """Return the fields that are kept with the account, JSON-able; empty ones are left out."""
    details: dict[str, object] = {}
    for name in reading.values:
        if name not in CARRIED_FIELDS:
            continue
        value: object = None
        if name in TEXT_FIELDS:
            value = reading.text(name) or None
        elif name in INTEGER_FIELDS:
            value = reading.whole(name)
        elif name in BOOLEAN_FIELDS:
            value = reading.flag(name)
        elif name in NUMBER_FIELDS:
            value = reading.number(name)
        elif name == "tags":
            value = _read_tags(reading)
        else:
            value = _read_metadata(reading)
        if value is not None:
            details[name] = value
    return details


def read_extra(reading: Reading) -> dict[str, str]:
    """Return unknown fields by their own names; those that smell of a secret are kept nowhere.

    Lists and objects leave their name alone: what is in them could be anything.
    """
    if KNOWN_FIELDS.issuperset(reading.values):
        return {}
    extra: dict[str, str] = {}
    for name, value in reading.values.items():
        if name not in KNOWN_FIELDS and not smells_secret(name) and len(extra) < EXTRA_COUNT_LIMIT:
            extra[_clean(name)[:TEXT_LIMIT]] = _as_cell(value)[:EXTRA_LIMIT]
    return extra


def _read_tags(reading: Reading) -> list[str] | None:
    tags = reading.values["tags"]
    if isinstance(tags, str):
        tags = re.split(r"[;,|]", tags)
    if isinstance(tags, list) and all(isinstance(tag, str) for tag in tags):
        return [_clean(trim(tag))[:TEXT_LIMIT] for tag in tags if trim(tag)] or None
    if tags is not None:
        reading.fail("tags", "type", "tags must be a list of texts.")
    return None


def _read_metadata(reading: Reading) -> dict[str, object] | None:
    metadata = reading.values["metadata"]
    if metadata in (None, ""):
        return None
    if not isinstance(metadata, dict):
        reading.fail("metadata", "type", f"metadata must be an object, not {kind_of(metadata)}.")
        return None
    kept = _keep_object(metadata, _DEPTH_LIMIT)
    if len(msgspec.json.encode(kept)) > METADATA_LIMIT:
        reading.fail("metadata", "too_long", f"metadata is longer than {METADATA_LIMIT} bytes.")
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
    if isinstance(value, bool):
        return "true" if value else "false"
    return CONTROL.sub(" ", _clean(str(value))) if isinstance(value, str | int | float) else ""


def _clean(text: str) -> str:
    return text if text.isprintable() else NOT_STORED.sub("\ufffd", text)
