"""Pure: query parameters to values; an unknown name or value is a problem that names it."""

import base64
import binascii
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final, Protocol, TypeVar
from uuid import UUID

from app.api.problem import Fault, Problem
from app.codes import Code
from app.model import OnExisting, Options, Outcome, Save

E = TypeVar("E", bound=StrEnum)

PAGE_ROWS: Final = 100
MOST_PAGE_ROWS: Final = 1000
NAME_LIMIT: Final = 200
LONGEST_WAIT_SECONDS: Final = 60.0
CONNECT_NAMES: Final = frozenset({"save", "onExisting", "autoCorrect", "strict", "name", "callbackUrl"})
PENDING: Final = "pending"

_SWITCH: Final = {"true": True, "false": False, "1": True, "0": False}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Query(Protocol):
    """The query of a call; a name may come twice."""

    def keys(self) -> Collection[str]: ...
    def getall(self, name: str) -> list[str]: ...


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a list: after `cursor`, else from `offset` on; `cursor` empty: from the start."""

    limit: int = PAGE_ROWS
    cursor: str = ""
    offset: int = 0


def read_query(query: Query, known: Collection[str]) -> dict[str, str]:
    """Return the parameters by name.

    Raises:
        Problem: one is unknown, comes twice, or holds what no text may.
    """
    values = {}
    for name in query.keys():  # noqa: SIM118 - a multidict's iteration repeats names
        if name not in known:
            listed = ", ".join(sorted(known)) or "none"
            raise bad_parameter(name, f"{name} is not a parameter here. Known: {listed}.")
        given = query.getall(name)
        if len(given) > 1:
            raise bad_parameter(name, f"{name} is given {len(given)} times; give it once.")
        if "\0" in given[0]:
            raise bad_parameter(name, f"{name} holds a NUL character.")
        values[name] = given[0]
    return values


def read_options(values: Mapping[str, str]) -> Options:
    """Return what a connect request asks for besides its rows.

    Raises:
        Problem: a value is none of those that the parameter takes.
    """
    name = values.get("name", "").strip()
    if len(name) > NAME_LIMIT or not name.isprintable():
        raise bad_parameter("name", f"name must be a printable text of at most {NAME_LIMIT} characters.")
    if values.get("callbackUrl"):
        raise bad_parameter("callbackUrl", "callbackUrl is not served yet: poll the status, or use its ?wait=.")
    return Options(
        save=read_word(values, "save", Save, Save.CONNECTED),
        on_existing=read_word(values, "onExisting", OnExisting, OnExisting.UPDATE),
        auto_correct=read_switch(values, "autoCorrect", default=True),
        is_strict=read_switch(values, "strict", default=False),
        name=name,
    )


def read_page(values: Mapping[str, str]) -> Page:
    """Return which part of a list is asked for.

    Raises:
        Problem: limit or offset is no number, or out of range.
    """
    limit = read_number(values, "limit", PAGE_ROWS, 1, MOST_PAGE_ROWS)
    return Page(limit, values.get("cursor", ""), read_number(values, "offset", 0, 0, 10_000_000))


def read_number(values: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    text = values.get(name, "")
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 12 and least <= int(text) <= most):
        raise bad_parameter(name, f"{name} must be a whole number from {least} to {most}, not {_quote(text)}.")
    return int(text)


def read_wait(values: Mapping[str, str]) -> float:
    """Return how many seconds a status call may wait for news; 0: not at all."""
    text = values.get("wait", "")
    try:
        seconds = float(text or 0)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise bad_parameter("wait", f"wait must be a number of seconds, not {_quote(text)}.")
    return min(seconds, LONGEST_WAIT_SECONDS)


def read_outcome(values: Mapping[str, str]) -> str:
    """Return the outcome to list, or `pending`; empty: all."""
    text = values.get("outcome", "")
    allowed = [outcome.value for outcome in Outcome] + [PENDING]
    if text and text not in allowed:
        raise bad_parameter("outcome", f"outcome must be one of {', '.join(allowed)}, not {_quote(text)}.")
    return text


def read_code(values: Mapping[str, str]) -> str:
    """Return the code to list; empty: all."""
    text = values.get("code", "")
    if text and text not in set(Code):
        raise bad_parameter("code", f"{_quote(text)} is no code; GET /v1/diagnoses lists them.")
    return text


def read_word(values: Mapping[str, str], name: str, kind: type[E], default: E) -> E:
    text = values.get(name, default.value)
    if text not in set(kind):
        raise bad_parameter(name, f"{name} must be one of {', '.join(kind)}, not {_quote(text)}.")
    return kind(text)


def read_switch(values: Mapping[str, str], name: str, *, default: bool) -> bool:
    text = values.get(name, "")
    if text and text.lower() not in _SWITCH:
        raise bad_parameter(name, f"{name} must be true or false, not {_quote(text)}.")
    return _SWITCH[text.lower()] if text else default


def read_id(text: str) -> UUID | None:
    """Return an id as it stands in a path; None: it cannot be one."""
    try:
        return UUID(text)
    except ValueError:
        return None


def render_cursor(created_at: datetime, request_id: UUID) -> str:
    """Return the cursor after a request of a list."""
    micros = (created_at - _EPOCH) // timedelta(microseconds=1)
    return base64.urlsafe_b64encode(micros.to_bytes(8, "big") + request_id.bytes).decode()


def parse_cursor(text: str) -> tuple[datetime, UUID]:
    """Return what `render_cursor` was given.

    Raises:
        Problem: the cursor is not one of ours.
    """
    try:
        raw = base64.urlsafe_b64decode(text)
        if len(raw) == 24:
            return _EPOCH + timedelta(microseconds=int.from_bytes(raw[:8], "big")), UUID(bytes=raw[8:])
    except (binascii.Error, ValueError, OverflowError):
        pass
    raise bad_parameter("cursor", "cursor is none that this list gave out; begin again without it.")


def bad_parameter(name: str, message: str) -> Problem:
    """Return the problem of one query parameter."""
    return Problem(400, "parameter", message, faults=[Fault(name, "parameter", message)])


def _quote(text: str) -> str:
    return f'"{text[:60]}"'
