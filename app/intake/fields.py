"""Pure: the fields of an account as users name them, and what may stand in each.

A value that cannot stand becomes a row error that names the field and never quotes a secret.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from app.intake.address import BLANKS, HostParts, parse_address, parse_host, trim
from app.model import Correction, RowError

SECRET_FIELDS: Final = ("smtpPassword", "imapPassword", "smtpAccessToken", "imapAccessToken", "accessToken")
ADDRESS_FIELDS: Final = ("smtpEmailAddress", "imapEmailAddress")
HOST_FIELDS: Final = ("smtpHost", "imapHost")
PORT_FIELDS: Final = ("smtpPort", "imapPort")
CHECKED_FIELDS: Final = ("emailServiceProvider", "smtpUserName", "imapUserName", "smtpEncryption", "imapEncryption")
SWITCH_FIELDS: Final = ("smtp", "imap")
CARRIED_TEXT_FIELDS: Final = ("fromFirstName", "fromLastName", "fromName", "replyTo", "signature", "bcc", "displayName")
CARRIED_FIELDS: Final = (*CARRIED_TEXT_FIELDS, "tags", "metadata", "dailyLimit")
KNOWN_FIELDS: Final = frozenset(
    (*SECRET_FIELDS, *ADDRESS_FIELDS, *HOST_FIELDS, *PORT_FIELDS, *CHECKED_FIELDS, *SWITCH_FIELDS, *CARRIED_FIELDS)
) | {"externalId"}

SWITCH_WORDS: Final = dict.fromkeys(("true", "yes", "1", "on", "y", ""), True) | dict.fromkeys(
    ("false", "no", "0", "off", "n"), False
)

TEXT_LIMIT: Final = 512
SIGNATURE_LIMIT: Final = 20_000
SECRET_LIMIT: Final = 8192
"""OAuth access tokens of some providers pass 2 KB; nothing known passes this."""
EXTRA_LIMIT: Final = 2000

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_SURROGATE: Final = re.compile(r"[\ud800-\udfff]")
_SMELLS_SECRET: Final = re.compile(r"pass|pwd|secret|token|cookie|2fa|mfa|backupcode|recoverycode|key$|^otp|otp$")
_WHOLE: Final = re.compile(r"\d+(?:\.0+)?|\d(?:\.\d+)?e\+?\d{1,2}", re.IGNORECASE)


@dataclass(slots=True)
class Reading:
    """What one entry holds, and what is wrong with it, while it is read."""

    row: int
    values: Mapping[str, object]
    errors: list[RowError] = field(default_factory=list)
    corrections: list[Correction] = field(default_factory=list)

    def fail(self, name: str, code: str, message: str) -> None:
        self.errors.append(RowError(self.row, name, code, message))

    def text(self, name: str, limit: int = TEXT_LIMIT) -> str:
        """Return a text field, outer blanks dropped; numbers pass as text, absent and null are empty."""
        value = self.values.get(name)
        if value is None:
            return ""
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            self.fail(name, "type", f"{name} must be text, not {_kind(value)}.")
            return ""
        text = trim(str(value))
        if len(text) > limit:
            self.fail(name, "too_long", f"{name} is longer than {limit} characters.")
        elif _CONTROL.search(text) and name != "signature":
            self.fail(name, "control_characters", f"{name} holds a line break or another control character.")
        elif "\0" in text or _SURROGATE.search(text):
            self.fail(name, "control_characters", f"{name} holds a character that is not allowed.")
        else:
            return text
        return ""

    def secret(self, name: str) -> str:
        """Return a secret just as it stands: blanks in it may belong to it."""
        value = self.values.get(name)
        if value is None:
            return ""
        if not isinstance(value, str):
            kind = _kind(value)
            self.fail(name, "type", f"{name} must be text, not {kind}. Put quotes around it.")
        elif len(value) > SECRET_LIMIT:
            self.fail(name, "too_long", f"{name} is longer than {SECRET_LIMIT} characters.")
        elif _CONTROL.search(value) or _SURROGATE.search(value):
            self.fail(name, "control_characters", f"{name} holds a line break or another control character.")
        else:
            return value
        return ""

    def address(self, name: str) -> str:
        text = self.text(name)
        address = parse_address(text)
        if text and not address:
            self.fail(name, "format", f"{name} is not a mail address: {_quote(text)}.")
        return address

    def host(self, name: str) -> HostParts:
        text = self.text(name)
        parts = parse_host(text) if text else HostParts("")
        if parts is None:
            self.fail(name, "format", f"{name} is not the name of a server: {_quote(text)}.")
        return parts or HostParts("")

    def port(self, name: str) -> int:
        """Return a port, 0 where absent. A spreadsheet's `993.0` is mended and told."""
        value = self.values.get(name)
        if value is None or value == "":
            return 0
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            self.fail(name, "type", f"{name} must be a whole number, not {_kind(value)}.")
            return 0
        text = trim(str(value))
        number = _whole(text)
        if number is None or not 1 <= number <= 65535:
            self.fail(name, "range", f"{name} must be a port from 1 to 65535, not {_quote(text)}.")
            return 0
        if text != str(number):
            self.corrections.append(Correction(name, text, str(number), "A port is a whole number."))
        return number

    def switch(self, name: str) -> bool:
        """Return whether a side is wanted; absent: yes."""
        value = self.values.get(name)
        if value is None or isinstance(value, bool | dict):
            return value is not False
        word = value.strip(BLANKS).lower() if isinstance(value, str) else None
        if word in SWITCH_WORDS:
            return SWITCH_WORDS[word]
        self.fail(name, "type", f"{name} must be true or false, not {_kind(value)}.")
        return True

    def carried(self) -> dict[str, object]:
        """Return what is carried along and given back."""
        details: dict[str, object] = {}
        if self.values.keys().isdisjoint(CARRIED_FIELDS):
            return details
        for name in CARRIED_TEXT_FIELDS:
            text = self.text(name, SIGNATURE_LIMIT if name == "signature" else TEXT_LIMIT)
            if text:
                details[name] = text
        self._carry_tags(details)
        metadata = self.values.get("metadata")
        if isinstance(metadata, dict):
            details["metadata"] = {
                str(key)[:TEXT_LIMIT]: value for key, value in metadata.items() if not smells_secret(str(key))
            }
        elif metadata not in (None, ""):
            self.fail("metadata", "type", f"metadata must be an object, not {_kind(metadata)}.")
        limit = self.values.get("dailyLimit")
        if limit not in (None, ""):
            number = _whole(str(limit).replace(",", "")) if not isinstance(limit, bool) else None
            if number is None:
                self.fail("dailyLimit", "type", "dailyLimit must be a whole number.")
            else:
                details["dailyLimit"] = number
        return details

    def _carry_tags(self, details: dict[str, object]) -> None:
        tags = self.values.get("tags")
        if isinstance(tags, str):
            tags = re.split(r"[;,|]", tags)
        if isinstance(tags, list) and all(isinstance(tag, str) for tag in tags):
            kept = [trim(tag)[:TEXT_LIMIT] for tag in tags if trim(tag)]
            if kept:
                details["tags"] = kept
        elif tags is not None:
            self.fail("tags", "type", "tags must be a list of texts.")

    def extra(self) -> dict[str, str]:
        """Return unknown fields by their own names; those that smell of a secret are kept nowhere."""
        return {
            name[:TEXT_LIMIT]: _as_cell(value)[:EXTRA_LIMIT]
            for name, value in self.values.items()
            if name not in KNOWN_FIELDS and not smells_secret(name) and not isinstance(value, dict | list)
        }


def smells_secret(name: str) -> bool:
    """Tell whether a column's name says that its cells are secrets."""
    return _SMELLS_SECRET.search(re.sub(r"[\W_]+", "", name.lower())) is not None


def _as_cell(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    text = "" if value is None else str(value)
    return _SURROGATE.sub("\ufffd", _CONTROL.sub(" ", text))


def _whole(text: str) -> int | None:
    return int(float(text)) if _WHOLE.fullmatch(text) and float(text).is_integer() else None


def _quote(text: str) -> str:
    return f'"{text[:80]}…"' if len(text) > 80 else f'"{text}"'


def _kind(value: object) -> str:
    names: dict[type, str] = {bool: "true or false", int: "a number", float: "a number", str: "text", list: "a list"}
    return names.get(type(value), "an object")
