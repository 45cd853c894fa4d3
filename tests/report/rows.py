"""Rows, sides and requests as the store hands them to the report; what a test does not name is usual."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from app.checked import SideResult
from app.model import Counts, Encryption, Fault, Protocol, RequestStatus, SideStatus, Stage

AT = datetime(2026, 11, 21, 8, 15, 30, 999_000, tzinfo=UTC)
ACCOUNT = UUID("0190a0b0-0000-7000-8000-000000000001")
REQUEST = UUID("0190a0b0-0000-7000-8000-000000000002")

SMTP_OK = SideResult(
    protocol=Protocol.SMTP,
    status=SideStatus.OK,
    code="ok",
    reply="235 2.7.0 Authentication succeeded",
    host="smtp.example.com",
    port=465,
    encryption=Encryption.SSL,
    address="192.0.2.1",
    tls_version="TLSv1.3",
    certificate_names=("smtp.example.com",),
    certificate_expires_at=AT,
    mechanism="PLAIN",
    timings={"resolve": 1, "connect": 2, "tls": 3, "greet": 4, "auth": 5},
    attempts=1,
    logins=1,
)
IMAP_FAILED = SideResult(
    protocol=Protocol.IMAP,
    status=SideStatus.FAILED,
    code="invalid_credentials",
    rule="imap:authenticationfailed",
    fault=Fault.USER,
    stage=Stage.AUTH,
    reply="NO [AUTHENTICATIONFAILED] Authentication failed.",
    remedy="Your mail provider did not accept the user name or password. Type the password again.",
    host="imap.example.com",
    port=993,
    encryption=Encryption.SSL,
    attempts=1,
    logins=1,
)
IMAP_OK = replace(SMTP_OK, protocol=Protocol.IMAP, host="imap.example.com", port=993)


@dataclass(frozen=True, slots=True)
class MadeRow:
    """A `ReportRow`: one that connected, unless told otherwise."""

    row: int = 1
    email: str = "sales@example.com"
    external_id: str = ""
    provider: str = "other"
    outcome: str = "connected"
    account_id: UUID | None = None
    sources: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    errors: Sequence[Mapping[str, str]] = ()
    corrections: Sequence[Mapping[str, str]] = ()
    extra: Mapping[str, str] = field(default_factory=dict)
    duplicate_of: int = 0
    attempts: int = 1
    duration_ms: int = 1234
    checked_at: datetime | None = AT
    smtp_wanted: bool = True
    smtp_host: str = ""
    smtp_port: int = 0
    smtp_encryption: str = ""
    imap_wanted: bool = True
    imap_host: str = ""
    imap_port: int = 0
    imap_encryption: str = ""
    smtp: SideResult | None = field(default_factory=lambda: SMTP_OK)
    imap: SideResult | None = field(default_factory=lambda: IMAP_OK)


def pending_row(**changes: Any) -> MadeRow:
    """Return a row that nobody has looked at yet."""
    return replace(MadeRow(outcome="", attempts=0, duration_ms=0, checked_at=None, smtp=None, imap=None), **changes)


@dataclass(frozen=True, slots=True)
class MadeRequest:
    """A `ReportRequest`: one that runs, unless told otherwise."""

    counts: Counts
    status: RequestStatus = RequestStatus.PROCESSING
    started_at: datetime | None = AT
    finished_at: datetime | None = None
    id: UUID = REQUEST
    kind: str = "connect"
    parent_id: UUID | None = None
    name: str = "November"
    save: str = "connected"
    created_at: datetime = AT
    expires_at: datetime = AT
    report_failed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class MadeGroup:
    """An `ErrorGroup`: failed sides of one domain at one server."""

    code: str = "invalid_credentials"
    protocol: str = "smtp"
    host: str = "smtp.example.com"
    port: int = 465
    encryption: str = "ssl"
    provider: str = ""
    domain: str = "example.com"
    count: int = 1
    first_row: int = 1
    reply: str = ""
