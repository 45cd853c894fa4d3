"""Pure: the values of one entry, field by field; what cannot stand becomes a row error.

No message quotes a secret. Most values are plain, and are told apart from the others by one look (`isprintable`):
100,000 rows take a few seconds as it is.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from app.intake.address import BLANKS, parse_address, trim
from app.intake.fields import (
    CONTROL,
    LONG_TEXT_FIELDS,
    LONG_TEXT_LIMIT,
    NO,
    NOT_STORED,
    SECRET_FIELDS,
    SECRET_LIMIT,
    TEXT_LIMIT,
    YES,
    kind_of,
    parse_whole,
    quote,
)
from app.model import Correction, RowError
from app.text import SHORTEST_NEEDLE, clean_text

WRITTEN_LIMIT: Final = 254
"""Characters, as many as an address may have octets (RFC 5321, section 4.5.3.1)."""


@dataclass(slots=True)
class Reading:
    """What one entry holds, and what is wrong with it, while it is read."""

    row: int
    values: Mapping[str, object] = field(repr=False)
    errors: list[RowError] = field(default_factory=list)
    corrections: list[Correction] = field(default_factory=list)

    def fail(self, name: str, code: str, message: str) -> None:
        self.errors.append(RowError(self.row, name, code, message))

    def has_failed(self, *names: str) -> bool:
        return any(error.field in names for error in self.errors)

    def text(self, name: str) -> str:
        """Return a text field, outer blanks dropped; numbers pass as text, absent and null are empty."""
        value = self.values.get(name)
        if value is None:
            return ""
        if type(value) is str and len(value) <= TEXT_LIMIT and value.isprintable():
            return value.strip()
        is_long = name in LONG_TEXT_FIELDS
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            self.fail(name, "type", f"{name} must be text, not {kind_of(value)}.")
            return ""
        text, limit = trim(str(value)), LONG_TEXT_LIMIT if is_long else TEXT_LIMIT
        if len(text) > limit:
            self.fail(name, "too_long", f"{name} is longer than {limit} characters.")
        elif NOT_STORED.search(text) or (CONTROL.search(text) and not is_long):
            self.fail(name, "control_characters", f"{name} holds a line break or another control character.")
        else:
            return text
        return ""

    def word(self, name: str) -> str:
        """Return a text field in which true and false are words too."""
        value = self.values.get(name)
        return str(value).lower() if isinstance(value, bool) else self.text(name)

    def secret(self, name: str) -> str:
        """Return a secret just as it stands: blanks in it may belong to it."""
        value = self.values.get(name)
        if value is None:
            return ""
        if not isinstance(value, str):
            self.fail(name, "type", f"{name} must be text, not {kind_of(value)}. Put quotes around it.")
        elif len(value) > SECRET_LIMIT:
            self.fail(name, "too_long", f"{name} is longer than {SECRET_LIMIT} characters.")
        elif not value.isprintable() and (CONTROL.search(value) or NOT_STORED.search(value)):
            self.fail(name, "control_characters", f"{name} holds a line break or another control character.")
        else:
            return value
        return ""

    def address(self, name: str) -> str:
        text = self.text(name)
        address = parse_address(text) if text else ""
        if text and not address:
            shown = f": {quote(text)}" if self.written(name) else ""
            self.fail(name, "format", f"{name} is not a mail address{shown}.")
        return address

    def written(self, name: str) -> str:
        """Return what stands in a field, for people to find it again: one plain line, cut where it is long.

        Empty where it may be a secret: one of the row's own is in it, or an address stands where a secret belongs, so
        that the columns are likely to be mixed up.
        """
        value = self.values.get(name)
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            return ""
        text, secrets = str(value), [str(self.values.get(field) or "") for field in SECRET_FIELDS]
        for secret in filter(None, map(trim, secrets)):
            is_in_it = secret in text if len(secret) >= SHORTEST_NEEDLE else secret == trim(text)
            if is_in_it or (len(secret) <= TEXT_LIMIT and parse_address(secret)):
                return ""
        line = " ".join(clean_text(text[: 2 * WRITTEN_LIMIT]).split())
        return line if len(line) <= WRITTEN_LIMIT else f"{line[:WRITTEN_LIMIT]}…"

    def port(self, name: str) -> int:
        """Return a port, 0 where absent. A spreadsheet's `993.0` is mended and told."""
        value = self.values.get(name)
        if type(value) is int and 1 <= value <= 65535:
            return value
        if value is None:
            return 0
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            self.fail(name, "type", f"{name} must be a whole number, not {kind_of(value)}.")
            return 0
        text = trim(str(value))
        number = parse_whole(text)
        if text and (number is None or not 1 <= number <= 65535):
            self.fail(name, "range", f"{name} must be a port from 1 to 65535, not {quote(text)}.")
            return 0
        if text and text != str(number):
            self.corrections.append(Correction(name, text, str(number), "A port is a whole number."))
        return number or 0

    def whole(self, name: str) -> int | None:
        """Return a whole number, None where absent."""
        value = self.values[name]
        text = "" if value is None else trim(str(value))
        number = None if isinstance(value, bool) else parse_whole(text)
        if text and number is None:
            self.fail(name, "type", f"{name} must be a whole number that is not negative.")
        return number

    def number(self, name: str) -> float | None:
        """Return a number, None where absent."""
        value = self.values[name]
        value = trim(value) if isinstance(value, str) else value
        try:
            number = float(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else None
        except (ValueError, OverflowError):
            number = None
        if number is not None and number.__abs__() < 1e15:
            return number
        if value not in (None, ""):
            self.fail(name, "type", f"{name} must be a number.")
        return None

    def flag(self, name: str) -> bool | None:
        """Return true or false, also where it is written yes, no, 1, 0, on, off; None where absent."""
        value = self.values[name]
        if value is None or isinstance(value, bool):
            return value
        word = str(value).strip(BLANKS).lower() if isinstance(value, str | int) else "?"
        if word and word not in YES | NO:
            self.fail(name, "type", f"{name} must be true or false, not {kind_of(value)}.")
        return word in YES if word in YES | NO else None

    def switch(self, name: str) -> bool:
        """Return whether a side is wanted; absent, or a side's result that was sent back: yes."""
        value = self.values.get(name)
        return True if value is None or isinstance(value, dict) else self.flag(name) is not False
