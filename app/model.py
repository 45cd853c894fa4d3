"""Pure: the nouns that cross packages; every other module may import this one.

Closed sets are enums whose values are the words users see in the API and the CSV.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

import msgspec
from msgspec import Struct


class Protocol(StrEnum):
    """The two sides of a mailbox: SMTP sends, IMAP reads."""

    SMTP = "smtp"
    IMAP = "imap"


class Encryption(StrEnum):
    """How a connection is encrypted: `ssl` from the first byte, `starttls` after a greeting in clear."""

    SSL = "ssl"
    STARTTLS = "starttls"
    NONE = "none"


class Stage(StrEnum):
    """The steps of a check, in order; a failure names the one it happened in."""

    RESOLVE = "resolve"
    CONNECT = "connect"
    TLS = "tls"
    GREET = "greet"
    AUTH = "auth"
    SELECT = "select"


class Mechanism(StrEnum):
    """How a credential was handed over; `LOGIN_COMMAND` is IMAP's own LOGIN (RFC 9051, section 6.2.3)."""

    PLAIN = "PLAIN"
    LOGIN = "LOGIN"
    CRAM_MD5 = "CRAM-MD5"
    XOAUTH2 = "XOAUTH2"
    OAUTHBEARER = "OAUTHBEARER"
    LOGIN_COMMAND = "LOGIN-COMMAND"


class Fault(StrEnum):
    """Who must act."""

    NOBODY = ""
    USER = "user"
    PROVIDER = "provider"
    NETWORK = "network"
    SERVICE = "service"


class Outcome(StrEnum):
    """How a row ended."""

    CONNECTED = "connected"
    FAILED = "failed"
    INVALID = "invalid"
    DUPLICATE = "duplicate"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"


class RowState(StrEnum):
    """Where a row is on the line; `done` rows have an outcome, the others have none."""

    QUEUED = "queued"
    CHECKING = "checking"
    WAITING = "waiting"
    DONE = "done"


class RequestStatus(StrEnum):
    """Where a request is, as users see it."""

    QUEUED = "queued"
    PROCESSING = "processing"
    COMPLETED = "completed"
    COMPLETED_WITH_ERRORS = "completed_with_errors"
    CANCELLED = "cancelled"
    FAILED = "failed"


class SideStatus(StrEnum):
    """How one protocol of a row ended."""

    OK = "ok"
    FAILED = "failed"
    SKIPPED = "skipped"


class Save(StrEnum):
    """Which accounts are kept when their row ends."""

    CONNECTED = "connected"
    ALL = "all"
    NONE = "none"


class OnExisting(StrEnum):
    """What happens to a row whose address the workspace already has as an account."""

    UPDATE = "update"
    SKIP = "skip"
    FAIL = "fail"


class AccountStatus(StrEnum):
    """How an account fares, in Context.IO's words; which code comes to which stands in codes.toml."""

    OK = "OK"
    INVALID_CREDENTIALS = "INVALID_CREDENTIALS"
    CONNECTION_IMPOSSIBLE = "CONNECTION_IMPOSSIBLE"
    NO_ACCESS_TO_ALL_MAIL = "NO_ACCESS_TO_ALL_MAIL"
    TEMP_DISABLED = "TEMP_DISABLED"
    DISABLED = "DISABLED"


class Source(StrEnum):
    """Where a setting came from, in the order of trust."""

    ROW = "row"
    OTHER_SIDE = "other_side"
    PRESET = "preset"
    DOMAIN_PRESET = "domain_preset"
    MX = "mx"
    SRV = "srv"
    AUTOCONFIG = "autoconfig"
    USUAL = "usual"
    ADDRESS = "address"


class Scope(StrEnum):
    """What an API key may do; `admin` includes the others."""

    CONNECT = "email-accounts:connect"
    READ = "email-accounts:read"
    WRITE = "email-accounts:write"
    ADMIN = "admin"


class Secret:
    """A credential in the open. Prints as stars; only `.reveal()` gives the text."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text: Final = text

    def reveal(self) -> str:
        """Return the text. Allowed in login/smtp.py, login/imap.py and seal.py only (tests/layout)."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._text == other._text

    def __hash__(self) -> int:
        return hash(("Secret", self._text))


@dataclass(frozen=True, slots=True)
class Server:
    """One mail server to try: DNS name or literal address, TCP port, encryption."""

    host: str
    port: int
    encryption: Encryption


@dataclass(frozen=True, slots=True)
class Login:
    """What one check needs: protocol, server, user name and credential.

    `is_token`: the credential is an OAuth 2 access token, else a password.
    `sources`: setting name (`host`, `port`, `encryption`, `username`, `password`) to where it came from.
    """

    protocol: Protocol
    server: Server
    username: str = field(repr=False)
    credential: Secret
    is_token: bool = False
    provider: str = ""
    sources: Mapping[str, Source] = field(default_factory=dict)


class Secrets(Struct, frozen=True):
    """The credentials of one row or account; None where a side has none of its own."""

    smtp: Secret | None = None
    imap: Secret | None = None
    smtp_is_token: bool = False
    imap_is_token: bool = False


class Side(Struct, frozen=True):
    """The settings of one side of a row, before discovery. Empty host and port 0 mean: not known yet."""

    wanted: bool = True
    address: str = ""
    username: str = ""
    host: str = ""
    port: int = 0
    encryption: Encryption | None = None
    sources: Mapping[str, Source] = msgspec.field(default_factory=dict)

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """Print all but the user name."""
        return [(name, getattr(self, name)) for name in self.__struct_fields__ if name != "username"]

    def __repr__(self) -> str:
        return f"Side({', '.join(f'{name}={value!r}' for name, value in self.__rich_repr__())})"


@dataclass(frozen=True, slots=True)
class RowError:
    """What is wrong with one entry of a request. `row` counts from 1; `field` is the API's field name.

    `code`: missing, type, range, value, format, control_characters, too_long, duplicate, exists, secret_gone.
    `message`: a sentence for a person; it never quotes a secret field.
    """

    row: int
    field: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Correction:
    """A setting that was mended: what the row said, what was used, and why (a sentence)."""

    field: str
    given: str
    used: str
    reason: str


REJECTIONS_SHOWN: Final = 100
"""How many of a call's rows, or of its faults, an answer names."""


class Row(Struct, frozen=True):
    """One entry of a request, read and filled as far as can be without asking the network.

    `row` counts from 1 in input order. `email` is the address that names the account; where the row is invalid for
    want of one, what was written there.
    `details` holds what is carried along and given back (fromName, tags, metadata, …), JSON-able.
    `extra` holds unknown columns by their own names. `errors` not empty: the row is invalid.
    `pace_key` groups rows that knock on the same door (provider slug, else host or domain).
    `account_id`: the account that the workspace has of this address already, where the request skips or refuses those.

    A row, its sides and its secrets are structs, for they are made by the hundred thousand: a frozen dataclass takes
    three times as long to make.
    """

    row: int
    email: str
    external_id: str
    provider: str
    pace_key: str
    smtp: Side
    imap: Side
    secrets: Secrets
    details: dict[str, object]
    extra: dict[str, str]
    errors: tuple[RowError, ...] = ()
    corrections: tuple[Correction, ...] = ()
    duplicate_of: int = 0
    account_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Counts:
    """The rows of a request by where they are; `total` is the sum of all the others."""

    total: int = 0
    pending: int = 0
    connected: int = 0
    failed: int = 0
    invalid: int = 0
    duplicate: int = 0
    skipped: int = 0
    cancelled: int = 0

    def is_balanced(self) -> bool:
        """Tell whether the books balance."""
        parts = self.pending + self.connected + self.failed + self.invalid
        return self.total == parts + self.duplicate + self.skipped + self.cancelled


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: the workspace and the key that named it."""

    workspace_id: UUID
    key_id: UUID
    workspace: str
    scopes: frozenset[Scope]

    def may(self, scope: Scope) -> bool:
        return scope in self.scopes or Scope.ADMIN in self.scopes


@dataclass(frozen=True, slots=True)
class Options:
    """What a connect request asks for besides its rows (CONTRACT section 2, query parameters)."""

    save: Save = Save.CONNECTED
    on_existing: OnExisting = OnExisting.UPDATE
    auto_correct: bool = True
    is_strict: bool = False
    name: str = ""
    callback_url: str = ""
