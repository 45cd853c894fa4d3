"""Pure (reads its own table): the codes a diagnosis can end in, and what is true of each: see codes.toml.

A code answers one question: what has to change, and who can change it. Codes are stable; add, never rename.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from importlib.resources import files
from typing import Final

from app.model import Fault


class Code(StrEnum):
    """Why a side of a mailbox ended as it did."""

    OK = "ok"
    INVALID_CREDENTIALS = "invalid_credentials"
    APP_PASSWORD_REQUIRED = "app_password_required"
    OAUTH_REQUIRED = "oauth_required"
    OAUTH_TOKEN_INVALID = "oauth_token_invalid"
    PASSWORD_EXPIRED = "password_expired"
    WEB_LOGIN_REQUIRED = "web_login_required"
    ACCOUNT_DISABLED = "account_disabled"
    LICENSE_REQUIRED = "license_required"
    SMTP_AUTH_DISABLED = "smtp_auth_disabled"
    IMAP_DISABLED = "imap_disabled"
    ACCESS_POLICY_BLOCKED = "access_policy_blocked"
    AUTH_REQUIRED = "auth_required"
    SENDER_NOT_ALLOWED = "sender_not_allowed"
    MAILBOX_UNAVAILABLE = "mailbox_unavailable"
    IP_BLOCKED = "ip_blocked"
    RATE_LIMITED = "rate_limited"
    TOO_MANY_CONNECTIONS = "too_many_connections"
    TEMPORARY_SERVER_ERROR = "temporary_server_error"
    QUOTA_EXCEEDED = "quota_exceeded"
    AUTH_MECHANISM_UNSUPPORTED = "auth_mechanism_unsupported"
    TLS_REQUIRED = "tls_required"
    STARTTLS_UNSUPPORTED = "starttls_unsupported"
    TLS_MODE_MISMATCH = "tls_mode_mismatch"
    TLS_PROTOCOL_UNSUPPORTED = "tls_protocol_unsupported"
    TLS_CERT_EXPIRED = "tls_cert_expired"
    TLS_CERT_UNTRUSTED = "tls_cert_untrusted"
    TLS_HOSTNAME_MISMATCH = "tls_hostname_mismatch"
    DNS_NOT_FOUND = "dns_not_found"
    CONNECTION_REFUSED = "connection_refused"
    CONNECTION_TIMEOUT = "connection_timeout"
    CONNECTION_CLOSED = "connection_closed"
    HOST_UNREACHABLE = "host_unreachable"
    PROTOCOL_ERROR = "protocol_error"
    UNCLASSIFIED = "unclassified"
    AUTH_NO_ANSWER = "auth_no_answer"
    ADDRESS_NOT_ALLOWED = "address_not_allowed"
    ALL_MAIL_HIDDEN = "all_mail_hidden"
    INTERRUPTED = "interrupted"
    NOT_CHECKED = "not_checked"


@dataclass(frozen=True, slots=True)
class CodeFacts:
    """What is true of a code. `status` is Context.IO's word; `is_retryable`: trying again may help by itself."""

    title: str
    group: str
    is_retryable: bool
    fault: Fault
    status: str
    meaning: str
    remedy: str


def _load() -> dict[Code, CodeFacts]:
    text = files(__package__).joinpath("codes.toml").read_text("utf-8")
    return {
        Code(name): CodeFacts(
            title=entry["title"],
            group=entry["group"],
            is_retryable=entry["retryable"],
            fault=Fault(entry["fault"]),
            status=entry["status"],
            meaning=entry["meaning"],
            remedy=entry["remedy"],
        )
        for name, entry in tomllib.loads(text).items()
    }


FACTS: Final[Mapping[Code, CodeFacts]] = _load()
"""Every code has its facts; a test compares."""
