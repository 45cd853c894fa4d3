"""Pure: the fields of an account as users name them, and the limits of each."""

import re
from functools import lru_cache
from typing import Final

SECRET_FIELDS: Final = ("smtpPassword", "imapPassword", "smtpAccessToken", "imapAccessToken", "accessToken")
SETTING_FIELDS: Final = tuple(
    f"{side}{name}"
    for side in ("smtp", "imap")
    for name in ("EmailAddress", "UserName", "Host", "Port", "Encryption", "")
)
"""`smtp` and `imap` alone are switches: false leaves the side out."""

TEXT_FIELDS: Final = frozenset(
    {
        *("fromFirstName", "fromLastName", "fromName", "displayName", "replyTo", "signature", "bcc"),
        *("clientId", "ewsEndpoint", "exchangeVersion", "notificationEmailAddress", "optOutMessage", "optOutSignature"),
        *(
            "providerType",
            "sendMethod",
            "sendgridWebhookUrl",
            "syncExclusions",
            "syncFolders",
            "syncMethod",
            "uniqueId",
        ),
    }
)
LONG_TEXT_FIELDS: Final = frozenset({"signature", "syncExclusions", "optOutMessage", "optOutSignature"})
"""These may hold line breaks."""
INTEGER_FIELDS: Final = frozenset(
    {
        *("dailyLimit", "weeklyLimit", "maxEmailsPerDay", "sendingIntervalMin", "sendingIntervalMax"),
        *("rampUpInitialSendingLimit", "businessId", "deleteMessageSettings", "lastMessageId", "authId", "providerId"),
        *("ewsSslVerifyMode", "sendMaxRetries", "sendPeriod", "sendThreshold", "syncActiveFrequency", "userId"),
        *("syncPassiveFrequency", "syncAllFolders", "syncFlags", "expungeOnDeletedFlag", "rawFileList"),
    }
)
NUMBER_FIELDS: Final = frozenset({"rampUpPercent"})
BOOLEAN_FIELDS: Final = frozenset(
    {
        *("active", "sendNotificationOnNewMessages", "sendDisabled", "sendRequiresSync", "syncDisabled"),
        "syncOutreachFolder",
    }
)
CARRIED_FIELDS: Final = TEXT_FIELDS | INTEGER_FIELDS | NUMBER_FIELDS | BOOLEAN_FIELDS | {"tags", "metadata"}
"""Kept with the account and given back; nothing of it changes a check."""

KNOWN_FIELDS: Final = (
    frozenset((*SECRET_FIELDS, *SETTING_FIELDS)) | CARRIED_FIELDS | {"externalId", "emailServiceProvider"}
)

YES: Final = frozenset({"true", "yes", "y", "1", "on"})
NO: Final = frozenset({"false", "no", "n", "0", "off"})

TEXT_LIMIT: Final = 512
LONG_TEXT_LIMIT: Final = 65_535
SECRET_LIMIT: Final = 8192
"""OAuth access tokens of some providers pass 2 KB; nothing known passes this."""
EXTRA_LIMIT: Final = 2000
EXTRA_COUNT_LIMIT: Final = 200
METADATA_LIMIT: Final = 16_384
"""Characters of metadata as JSON."""

CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
NOT_STORED: Final = re.compile(r"[\x00\ud800-\udfff]")
"""What PostgreSQL's text cannot hold."""

_SMELLS_SECRET: Final = re.compile(r"pass|pwd|secret|token|cookie|2fa|mfa|backupcode|recoverycode|key$|^otp|otp$")
_WHOLE: Final = re.compile(r"\d{1,15}(?:\.0+)?|\d(?:\.\d{1,9})?e\+?\d{1,2}", re.IGNORECASE)
_THOUSANDS: Final = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.0+)?")


def smells_secret(name: str) -> bool:
    """Tell whether a column's name says that its cells are secrets."""
    return _smells_secret(name) if len(name) <= TEXT_LIMIT else _smells_secret.__wrapped__(name)


@lru_cache(maxsize=1024)
def _smells_secret(name: str) -> bool:
    return _SMELLS_SECRET.search(re.sub(r"[\W_]+", "", name.lower())) is not None


def parse_whole(text: str) -> int | None:
    """Return a whole number as spreadsheets write it (`993.0`, `9.93E+02`, `1,000`), not negative; None: it is none."""
    if text.isdecimal() and text.isascii() and len(text) <= 15:
        return int(text)
    if _THOUSANDS.fullmatch(text):
        text = text.replace(",", "")
    if not _WHOLE.fullmatch(text):
        return None
    number = float(text)
    return int(number) if number.is_integer() else None


def kind_of(value: object) -> str:
    """Name the type of a JSON value for a person."""
    names: dict[type, str] = {bool: "true or false", int: "a number", float: "a number", str: "text", list: "a list"}
    return "null" if value is None else names.get(type(value), "an object")


def quote(text: str) -> str:
    """Return a text in quotation marks, cut where it is long."""
    shown = text if text.isprintable() else CONTROL.sub(" ", NOT_STORED.sub("\ufffd", text))
    return f'"{shown[:80]}…"' if len(shown) > 80 else f'"{shown}"'
