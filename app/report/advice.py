"""Pure: from a code to what a person should do, in at most two sentences of plain words."""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

from app.codes import FACTS, Code
from app.model import Encryption, Protocol, Server

_USUAL: Final = {
    Protocol.SMTP: ((465, Encryption.SSL), (587, Encryption.STARTTLS)),
    Protocol.IMAP: ((993, Encryption.SSL), (143, Encryption.STARTTLS)),
}
_WITHOUT_PAGE: Final = {Code.IMAP_DISABLED: " in the mailbox settings"}
_START: Final = re.compile(r"(?:^|(?<=[.?!] ))[a-z]\S*")
_NOTES: Final = {
    Code.APP_PASSWORD_REQUIRED: re.compile(r"\b(?:password|code|key)\b"),
    Code.IMAP_DISABLED: re.compile(r"(?i)\b(?:switch on|turn on|allows?)\b.*\b(?:imap|mail)\b|cannot be connected"),
    Code.SMTP_AUTH_DISABLED: re.compile(
        r"(?i)\b(?:switch on|turn on|allows?)\b.*\b(?:smtp|mail programs|mail apps)\b|cannot be connected"
    ),
}
"""Codes that a provider's note may help with, and what it must speak of."""


@dataclass(frozen=True, slots=True)
class Situation:
    """What a remedy may speak of.

    `provider_name`: as people call it; empty: the mail provider. `note`: what its preset says of it; `servers`: those
    it has under the host, in the order to try; `takes_app_passwords`: no others. `count`: the mailboxes spoken of,
    `domain` theirs if it is one.
    """

    protocol: Protocol
    provider: str = ""
    provider_name: str = ""
    host: str = ""
    port: int = 0
    encryption: Encryption | None = None
    certificate_names: Sequence[str] = ()
    note: str = ""
    servers: Sequence[Server] = ()
    takes_app_passwords: bool = False
    count: int = 1
    domain: str = ""


@dataclass(frozen=True, slots=True)
class HelpPage:
    """Where a provider explains what to click."""

    what: str
    page: str


def render_remedy(code: Code, situation: Situation) -> str:
    """Return what to do, in one or two sentences."""
    names, names_hint = _names(situation)
    words = FACTS[code].remedy.format(
        provider=situation.provider_name or "your mail provider",
        mailbox=_mailbox(situation),
        host=situation.host or "the server",
        called=f"called {situation.host}" if situation.host else "of this name",
        port=f"port {situation.port}" if situation.port else "this port",
        protocol=situation.protocol.upper(),
        names=names,
        names_hint=names_hint,
        help=_help(code, situation.provider),
        app_password_hint=" and an app password in place of the normal one" if situation.takes_app_passwords else "",
        token_field=f"{situation.protocol}AccessToken",
        ports_hint=_ports_hint(code, situation),
        ssl_port=next((port for port, mode in _ways(situation) if mode is Encryption.SSL), 0)
        or _USUAL[situation.protocol][0][0],
    )
    if code in _NOTES and find_help(code, situation.provider) is None and _NOTES[code].search(situation.note):
        words = f"{words.partition('. ')[0]}. {situation.note.rpartition('. ')[2]}"
    # A sentence begins with a capital letter, but for a server's name.
    return _START.sub(
        lambda found: found[0] if found[0] == situation.host else found[0][0].upper() + found[0][1:], words
    )


def lead_with(note: str, remedy: str) -> str:
    """Return a remedy whose first sentence, what happened, gives way to what is known better.

    A note of two sentences says what to do as well: it stands alone.
    """
    if ". " in note:
        return note
    return f"{note} {remedy.partition('. ')[2] or remedy}".strip()


def find_help(code: Code, provider: str) -> HelpPage | None:
    """Return the provider's own page about a code; None: none is known."""
    return _pages().get((provider, code))


def render_diagnosis(code: Code) -> dict[str, object]:
    """Return all there is to say of a code, for `GET /v1/diagnoses/{code}`."""
    facts = FACTS[code]
    pages = [
        {"provider": slug, "what": page.what, "page": page.page} for (slug, of), page in _pages().items() if of == code
    ]
    neutral = Situation(Protocol.IMAP if code is Code.IMAP_DISABLED else Protocol.SMTP)
    return {
        "code": code.value,
        "title": facts.title,
        "group": facts.group,
        "meaning": facts.meaning,
        "remedy": render_remedy(code, neutral),
        "fault": facts.fault.value or None,
        "retryable": facts.is_retryable,
        "contextIoStatus": facts.status or None,
        "helpPages": pages,
    }


def _mailbox(situation: Situation) -> str:
    if situation.count == 1:
        return "this mailbox"
    return f"these {situation.count} mailboxes" + (f" of {situation.domain}" if situation.domain else "")


def _help(code: Code, provider: str) -> str:
    page = find_help(code, provider)
    if page is None:
        return _WITHOUT_PAGE.get(code, "")
    return f" {page.what} ({page.page})" if page.what else f" ({page.page})"


def _names(situation: Situation) -> tuple[str, str]:
    """Return whom a certificate is for, and what follows; a name with a star is a pattern and no server."""
    names = situation.certificate_names[:3]
    plain = [name for name in names if not name.startswith("*")]
    if not plain:
        ask = f"Ask {situation.provider_name or 'your mail provider'} for the right server name."
        return ", ".join(names) or "another name", ask
    return ", ".join(names), f"Use {plain[0]} as the server, if it is your provider's."


def _ways(situation: Situation) -> Sequence[tuple[int, Encryption]]:
    """Return the ports to use: those that the provider has, else the usual ones."""
    return tuple((server.port, server.encryption) for server in situation.servers) or _USUAL[situation.protocol]


def _ports_hint(code: Code, situation: Situation) -> str:
    ways, used = _ways(situation), (situation.port, situation.encryption)
    others = [f"port {port} with encryption {mode}" for port, mode in ways if (port, mode) != used]
    if not others or (code is Code.AUTH_MECHANISM_UNSUPPORTED and used in ways):
        return f"Ask {situation.provider_name or 'your mail provider'} how other programs may log in."
    return f"Use {', or '.join(others)}."


@cache
def _pages() -> dict[tuple[str, str], HelpPage]:
    text = files(__package__).joinpath("data/help.csv").read_text("utf-8")
    return {(row["slug"], row["code"]): HelpPage(row["what"], row["page"]) for row in csv.DictReader(text.splitlines())}
