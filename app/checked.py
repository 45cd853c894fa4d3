"""Pure: the nouns of a check: what it saw, how it failed, what one side of a row came to."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from app.model import Correction, Encryption, Fault, Mechanism, Protocol, Server, SideStatus, Stage


@dataclass(frozen=True, slots=True)
class Reply:
    """What a mail server said, cleaned by report-safe rules (`app/text.py`) and censored.

    SMTP: `code` 3 digits or 0, `enhanced` like `5.7.8` or empty (RFC 3463).
    IMAP: `status` OK, NO, BAD, BYE or PREAUTH, `response_code` like `AUTHENTICATIONFAILED` (RFC 5530) or empty.
    `text`: the words, all lines joined by a newline, at most 4 KiB.
    """

    text: str
    code: int = 0
    enhanced: str = ""
    status: str = ""
    response_code: str = ""

    def __str__(self) -> str:
        """Return the reply as a client holds it: code, enhanced code, words; or status, [code], words."""
        head = [str(self.code)] if self.code else []
        head += [part for part in (self.enhanced, self.status) if part]
        head += [f"[{self.response_code}]"] if self.response_code else []
        return " ".join([*head, self.text]).strip()


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a server's certificate says: names it is for, and its last moment (UTC); empty if unknown."""

    names: tuple[str, ...] = ()
    expires_at: datetime | None = None


@dataclass(slots=True)
class Trace:
    """What a check saw on its way: kept for good and bad endings alike. Not frozen, to be made fast.

    `timings`: stage to milliseconds. `address`: the IP address dialled. `sent_credentials`: a login
    was tried (DESIGN: counted). `has_all_mail`: None where the server has no such folder notion.
    """

    server: Server
    address: str = ""
    tls_version: str = ""
    certificate: Certificate = Certificate()
    mechanism: Mechanism | None = None
    timings: dict[str, int] = field(default_factory=dict)
    sent_credentials: bool = False
    greeting: str = ""
    capabilities: tuple[str, ...] = ()
    has_all_mail: bool | None = None


class FailureKind(StrEnum):
    """What stopped a stage, as the network and the libraries told it."""

    REPLY = "reply"
    """The server said no, or not now: see the reply."""
    TIMEOUT = "timeout"
    """A stage's deadline passed."""
    CLOSED = "closed"
    """The peer ended the connection."""
    RESET = "reset"
    """The peer reset the connection."""
    REFUSED = "refused"
    """Nothing listens on the port."""
    UNREACHABLE = "unreachable"
    """No route to the host or network."""
    NAME_NOT_FOUND = "name_not_found"
    """The name does not exist, or has no address."""
    NAME_TEMPORARY = "name_temporary"
    """The name servers could not say."""
    NOT_ALLOWED = "not_allowed"
    """The address guard refused the address or the port."""
    TLS_NOT_SPOKEN = "tls_not_spoken"
    """TLS was begun and something else answered."""
    TLS_UNASKED = "tls_unasked"
    """A TLS record came where words in clear were due."""
    TLS_VERSION = "tls_version"
    """No TLS version, cipher or key in common."""
    TLS_OTHER = "tls_other"
    """The handshake failed in another way (alert, client certificate wanted)."""
    CERTIFICATE_EXPIRED = "certificate_expired"
    CERTIFICATE_UNTRUSTED = "certificate_untrusted"
    CERTIFICATE_NAME = "certificate_name"
    STARTTLS_MISSING = "starttls_missing"
    """STARTTLS is not offered."""
    LOGIN_MISSING = "login_missing"
    """No login offered, or none we can use."""
    LOGIN_NEEDS_TLS = "login_needs_tls"
    """The server takes logins only over TLS (LOGINDISABLED, AUTH hidden, 538)."""
    PROTOCOL = "protocol"
    """What came is not the protocol, or more than anyone may send."""
    OURS = "ours"
    """We failed: a sealed credential that cannot be opened, a defect."""


@dataclass(frozen=True, slots=True)
class Failure:
    """What stopped a check: a value, never an exception beyond `login/`.

    `detail`: our own fixed words about it, never a library's text that could quote a secret.
    """

    kind: FailureKind
    stage: Stage
    reply: Reply | None = None
    detail: str = ""
    certificate: Certificate | None = None


@dataclass(frozen=True, slots=True)
class Checked:
    """How one check of one side ended. `failure` None: the login works. `reply`: the answer to it."""

    protocol: Protocol
    trace: Trace
    failure: Failure | None = None
    reply: Reply | None = None
    corrections: tuple[Correction, ...] = ()

    @property
    def is_ok(self) -> bool:
        return self.failure is None


@dataclass(slots=True)
class SideResult:
    """One side of a row as it is stored and shown (CONTRACT section 3). Not frozen, to be made fast."""

    protocol: Protocol
    status: SideStatus
    code: str
    """A value of `codes.Code`."""
    rule: str = ""
    fault: Fault = Fault.NOBODY
    is_retryable: bool = False
    stage: Stage | None = None
    reply: str = ""
    remedy: str = ""
    """The sentences for the CSV, filled in when the row ended."""
    host: str = ""
    port: int = 0
    encryption: Encryption | None = None
    address: str = ""
    tls_version: str = ""
    certificate_names: tuple[str, ...] = ()
    certificate_expires_at: datetime | None = None
    mechanism: str = ""
    timings: dict[str, int] = field(default_factory=dict)
    attempts: int = 0
    logins: int = 0
    corrections: tuple[Correction, ...] = ()
    warning: str = ""
    """A code that qualifies an ok result, such as `all_mail_hidden`; empty: none."""
