"""Pure: the demonstration's file of mailboxes, and how each of them must end."""

import csv
import io
from dataclasses import dataclass
from typing import Final

from app.codes import Code
from app.demo.houses import (
    CLOSED_HOST,
    EXPIRED,
    GOOGLE,
    INNER_HOST,
    MICROSOFT,
    NO_HOST,
    OWN,
    SHARED,
    SILENT_HOST,
    UNTRUSTED,
    WEB_HOST,
    House,
    Town,
)

COLUMNS: Final = (
    "emailServiceProvider",
    "smtpEmailAddress",
    "smtpUserName",
    "smtpPassword",
    "smtpHost",
    "smtpPort",
    "smtpEncryption",
    "imapPassword",
    "imapHost",
    "imapPort",
    "imapEncryption",
    "imap",
    "what this row shows",
)


@dataclass(frozen=True, slots=True)
class Mailbox:
    """One row. Codes are those of TAXONOMY; `corrected`: the encryption is mended on the way."""

    shows: str
    cells: dict[str, str]
    outcome: str
    smtp: str = ""
    imap: str = ""
    is_corrected: bool = False


def list_mailboxes(town: Town) -> list[Mailbox]:
    """Return the rows in order. The town tells the ports."""
    return [*_google(town), *_microsoft(town), *_own(town), *_broken(town), *_invalid(town)]


def render_csv(mailboxes: list[Mailbox]) -> str:
    """Write the rows as a user would keep them: CSV with a header line."""
    sheet = io.StringIO()
    writer = csv.DictWriter(sheet, COLUMNS, restval="")
    writer.writeheader()
    for mailbox in mailboxes:
        writer.writerow({**mailbox.cells, "what this row shows": mailbox.shows})
    return sheet.getvalue()


def _google(town: Town) -> list[Mailbox]:
    def row(name: str, password: str) -> dict[str, str]:
        return _at(town, GOOGLE, f"{name}@northwind.test", password, provider="gsuite")

    return [
        _fine("Google, with an app password", row("info", "abcdefghijklmnop")),
        _fine("Google, the app password with its blanks", row("sales", "abcd efgh ijkl mnop")),
        _failed("Google, wrong password", row("hello", "abcdefghijklmnop"), *_BOTH_WRONG),
        _failed("Google wants an app password", row("team", "spring-2026"), *_both(Code.APP_PASSWORD_REQUIRED)),
        _failed("Google, IMAP switched off", row("orders", "qrstuvwxyzabcdef"), Code.OK, Code.IMAP_DISABLED),
    ]


def _microsoft(town: Town) -> list[Mailbox]:
    def row(name: str, password: str = "Winter!2026", **more: str) -> dict[str, str]:
        return _at(town, MICROSOFT, f"{name}@contoso.test", password, provider="o365", mode="starttls", **more)

    off = "Microsoft, SMTP AUTH switched off for the tenant"
    only = "Microsoft, passwords switched off (sending side only)"
    return [
        _fine("Microsoft, STARTTLS", row("info")),
        _failed("Microsoft, wrong password", row("hello", "Summer!2026"), *_BOTH_WRONG),
        _failed(off, row("sales"), Code.SMTP_AUTH_DISABLED, Code.OK),
        _failed(only, row("billing", imap="false"), Code.OAUTH_REQUIRED, ""),
        _failed("Microsoft, account locked", row("former"), Code.ACCOUNT_DISABLED, Code.OK),
    ]


def _own(town: Town) -> list[Mailbox]:
    def row(name: str, password: str = "tide-tables-42", **more: str) -> dict[str, str]:
        return _at(town, OWN, f"{name}@harbour.test", password, **more)

    mixed = row("office") | {"imapPassword": "high-tide"}
    return [
        _fine("own server, TLS from the first byte", row("info")),
        _fine("own server, STARTTLS, a password with umlauts", row("sales", "Grüße aus dem Hafen", mode="starttls")),
        _failed("own server, wrong password", row("nobody", "low-tide"), *_BOTH_WRONG),
        _failed("the IMAP password alone is wrong", mixed, Code.OK, Code.INVALID_CREDENTIALS),
        _mended("ssl said of a STARTTLS port", row("support", mode="starttls", says="ssl")),
        _mended("STARTTLS said of an SSL port", row("quotes", mode="ssl", says="starttls")),
        _fine("busy at first, tried again", row("newsletter")),
        Mailbox("the same mailbox again", row("info"), "duplicate"),
    ]


def _broken(town: Town) -> list[Mailbox]:
    def nowhere(host: str, port: int, name: str) -> dict[str, str]:
        """Both sides at one host and port that serve neither."""
        place = {"smtpHost": host, "smtpPort": str(port), "imapHost": host, "imapPort": str(port)}
        return _at(town, OWN, f"{name}@harbour.test", "tide-tables-42") | place

    def info(house: House, domain: str) -> dict[str, str]:
        return _at(town, house, f"info@{domain}", "secret-of-2019")

    in_clear = {"smtpEncryption": "starttls", "imapEncryption": "starttls"}
    submission = town.ports[OWN.label, "smtp", "ssl"]
    return [
        _failed("expired certificate", info(EXPIRED, "forgotten.test"), *_both(Code.TLS_CERT_EXPIRED)),
        _failed("self-signed certificate", info(UNTRUSTED, "homemade.test"), *_both(Code.TLS_CERT_UNTRUSTED)),
        _failed("certificate for other names", info(SHARED, "tenant.test"), *_both(Code.TLS_HOSTNAME_MISMATCH)),
        _failed("host misspelt", nowhere(NO_HOST, submission, "typo"), *_both(Code.DNS_NOT_FOUND)),
        _failed(
            "nothing listens there", nowhere(CLOSED_HOST, town.closed_port, "closed"), *_both(Code.CONNECTION_REFUSED)
        ),
        _failed(
            "a host that says nothing", nowhere(SILENT_HOST, town.silent_port, "quiet"), *_both(Code.CONNECTION_TIMEOUT)
        ),
        _failed("a web server", nowhere(WEB_HOST, town.web_port, "www") | in_clear, *_both(Code.PROTOCOL_ERROR)),
        _failed("an internal address", nowhere(INNER_HOST, submission, "intranet"), *_both(Code.ADDRESS_NOT_ALLOWED)),
    ]


def _invalid(town: Town) -> list[Mailbox]:
    whole = _at(town, OWN, "archive@harbour.test", "tide-tables-42")
    return [
        Mailbox("no password", whole | {"smtpPassword": ""}, "invalid"),
        Mailbox("a port that cannot be", whole | {"imapPort": "99300"}, "invalid"),
        Mailbox("no mail address", whole | {"smtpEmailAddress": "archive at harbour.test"}, "invalid"),
    ]


def _at(
    town: Town,
    house: House,
    address: str,
    password: str,
    *,
    provider: str = "other",
    mode: str = "ssl",
    says: str = "",
    **more: str,
) -> dict[str, str]:
    """`mode`: the encryption of the ports; `says`: what the row claims instead, empty: the truth."""
    return {
        "emailServiceProvider": provider,
        "smtpEmailAddress": address,
        "smtpPassword": password,
        "smtpHost": house.smtp_host,
        "smtpPort": str(town.ports[house.label, "smtp", mode]),
        "smtpEncryption": says or mode,
        "imapHost": house.imap_host,
        "imapPort": str(town.ports[house.label, "imap", mode]),
        "imapEncryption": says or mode,
        **more,
    }


def _both(code: Code) -> tuple[str, str]:
    return code, code


_BOTH_WRONG: Final = _both(Code.INVALID_CREDENTIALS)


def _fine(shows: str, cells: dict[str, str]) -> Mailbox:
    return Mailbox(shows, cells, "connected", *_both(Code.OK))


def _mended(shows: str, cells: dict[str, str]) -> Mailbox:
    return Mailbox(shows, cells, "connected", *_both(Code.OK), is_corrected=True)


def _failed(shows: str, cells: dict[str, str], smtp: str, imap: str) -> Mailbox:
    return Mailbox(shows, cells, "failed", smtp, imap)
