"""Pure: from a code to what a person should do, in at most two sentences of plain words."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

from app.codes import FACTS, Code
from app.model import Encryption, Protocol

_APP_PASSWORD_PROVIDERS: Final = frozenset(
    {"gmail", "gsuite", "yahoo", "aol", "icloud", "zoho", "fastmail", "yandex", "mail_ru"}
)
_PORTS: Final = {
    Protocol.SMTP: "Use port 465 with encryption ssl, or port 587 with starttls.",
    Protocol.IMAP: "Use port 993 with encryption ssl, or port 143 with starttls.",
}


@dataclass(frozen=True, slots=True)
class Situation:
    """What a remedy may speak of. `provider_name`: as people call it; empty: the mail provider."""

    protocol: Protocol
    provider: str = ""
    provider_name: str = ""
    host: str = ""
    port: int = 0
    encryption: Encryption | None = None
    certificate_names: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class HelpPage:
    """Where a provider explains what to click."""

    what: str
    page: str


def render_remedy(code: Code, situation: Situation) -> str:
    """Return what to do, in one or two sentences."""
    provider = situation.provider_name or "your mail provider"
    words = FACTS[code].remedy.format(
        provider=provider,
        host=situation.host or "The server",
        port=situation.port or "?",
        protocol=situation.protocol.upper(),
        names=", ".join(situation.certificate_names[:3]) or "another name",
        help=_render_help(code, situation.provider),
        app_password_hint=_render_hint(situation.provider),
        token_field=f"{situation.protocol}AccessToken",
        ports_hint=_PORTS[situation.protocol],
        ssl_port=465 if situation.protocol is Protocol.SMTP else 993,
    ).strip()
    # A sentence begins with a capital letter, but for a server's name.
    is_name = bool(situation.host) and words.startswith(situation.host)
    return words if is_name else words[:1].upper() + words[1:]


def find_help(code: Code, provider: str) -> HelpPage | None:
    """Return the provider's own page about a code; None: none is known."""
    return _pages().get((provider, code))


def render_diagnosis(code: Code) -> dict[str, object]:
    """Return all there is to say of a code, for `GET /v1/diagnoses/{code}`."""
    facts = FACTS[code]
    pages = [
        {"provider": slug, "what": page.what, "page": page.page} for (slug, of), page in _pages().items() if of == code
    ]
    neutral = Situation(Protocol.SMTP if code is not Code.IMAP_DISABLED else Protocol.IMAP)
    return {
        "code": code.value,
        "title": facts.title,
        "group": facts.group,
        "meaning": facts.meaning,
        "remedy": render_remedy(code, neutral).replace("port ?", "that port"),
        "fault": facts.fault.value or None,
        "retryable": facts.is_retryable,
        "contextIoStatus": facts.status or None,
        "helpPages": pages,
    }


def _render_help(code: Code, provider: str) -> str:
    page = find_help(code, provider)
    if page is None:
        return ""
    return f" {page.what} ({page.page})" if page.what else f" ({page.page})"


def _render_hint(provider: str) -> str:
    if provider in _APP_PASSWORD_PROVIDERS:
        return " and an app password in place of the normal one"
    return ""


@cache
def _pages() -> dict[tuple[str, str], HelpPage]:
    text = files(__package__).joinpath("data/help.csv").read_text("utf-8")
    return {(row["slug"], row["code"]): HelpPage(row["what"], row["page"]) for row in csv.DictReader(text.splitlines())}
