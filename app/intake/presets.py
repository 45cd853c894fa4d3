"""Pure: what is known beforehand of who runs a mail service (`data/providers.csv`); place 4 on the line.

Facts only: names, ports, modes; the file's last columns say where each row was read.
"""

import csv
import re
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from typing import Final

from app.intake.encryption import normalise
from app.model import Encryption, Protocol, Server

FIXED_USERNAMES: Final = {"sendgrid": "apikey", "resend": "resend", "sparkpost": "SMTP_Injection", "mailtrap": "api"}
"""Literal SMTP user names, from each provider's own SMTP page (read 2026-11-21)."""

PASSWORD_IS_USERNAME: Final = frozenset({"postmark"})
"""Where the server API token is both user name and password."""


@dataclass(frozen=True, slots=True, eq=False)
class Preset:
    """One provider; there is one object for each.

    `auth`: password, app_password, oauth, or none (no mail programs at all).
    """

    slug: str
    name: str
    auth: str
    note: str
    smtp: Server | None
    imap: Server | None
    smtp_alternatives: tuple[Server, ...]
    imap_alternatives: tuple[Server, ...]
    smtp_username: str
    imap_username: str
    is_by_domain: bool
    """Whether its hosts are named after the address's domain."""

    def server(self, protocol: Protocol, domain: str) -> Server | None:
        """Return the server of a side, `{domain}` filled in; None where it is unknown or must be brought."""
        server = self.smtp if protocol is Protocol.SMTP else self.imap
        if server is None:
            return None
        host = server.host.replace("{domain}", domain)
        return None if "{" in host else Server(host, server.port, server.encryption)

    def alternatives(self, protocol: Protocol) -> tuple[Server, ...]:
        return self.smtp_alternatives if protocol is Protocol.SMTP else self.imap_alternatives

    def owns(self, host: str) -> bool:
        """Tell whether `host` is one of the provider's servers."""
        servers = (self.smtp, self.imap, *self.smtp_alternatives, *self.imap_alternatives)
        return any(server is not None and server.host == host for server in servers)

    def username_rule(self, protocol: Protocol) -> str:
        return self.smtp_username if protocol is Protocol.SMTP else self.imap_username


def load_presets() -> None:
    """Read the file now rather than with the first row."""
    _tables()


@lru_cache(maxsize=1024)
def find_preset(name: str) -> Preset | None:
    """Return the preset of a slug or of what other tools call it."""
    return _tables().by_name.get(normalise(name))


def find_preset_by_domain(domain: str) -> Preset | None:
    """Return the preset that serves addresses of `domain`."""
    return _tables().by_domain.get(domain.lower())


def find_preset_by_mx(host: str) -> Preset | None:
    """Return the preset whose mail exchangers `host` belongs to; the longest suffix wins."""
    labels = host.lower().rstrip(".").split(".")
    suffixes = _tables().by_suffix
    for start in range(len(labels)):
        preset = suffixes.get(".".join(labels[start:]))
        if preset is not None:
            return preset
    return None


@lru_cache(maxsize=4096)
def find_preset_by_host(host: str) -> Preset | None:
    """Return the preset one of whose servers is `host`, in whatever region it stands."""
    tables, host = _tables(), host.lower()
    found = tables.by_host.get(host)
    if found is None:
        for pattern, preset in tables.by_pattern.items():
            if pattern.fullmatch(host):
                return preset
    return found


def provider_name(slug: str) -> str:
    """Return what people call a provider; empty where the slug is unknown."""
    preset = _tables().by_slug.get(slug)
    return preset.name if preset is not None else ""


def list_presets() -> list[Preset]:
    """Return all presets in the file's order."""
    return list(_tables().by_slug.values())


@dataclass(frozen=True, slots=True)
class _Tables:
    by_slug: dict[str, Preset]
    by_name: dict[str, Preset]
    by_domain: dict[str, Preset]
    by_suffix: dict[str, Preset]
    by_host: dict[str, Preset]
    by_pattern: dict[re.Pattern[str], Preset]


@cache
def _tables() -> _Tables:
    tables = _Tables({}, {}, {}, {}, {}, {})
    text = files(__package__).joinpath("data/providers.csv").read_text("utf-8")
    for row in csv.DictReader(text.splitlines()):
        preset = _read(row)
        tables.by_slug[preset.slug] = preset
        for name in (preset.slug, *_split(row["aliases"])):
            tables.by_name[normalise(name)] = preset
        for domain in _split(row["email_domains"]):
            tables.by_domain[domain] = preset
        for suffix in _split(row["mx_suffixes"]):
            tables.by_suffix[suffix] = preset
        for server in (preset.smtp, preset.imap, *preset.smtp_alternatives, *preset.imap_alternatives):
            if server is not None and server.host.startswith("127."):
                continue  # a bridge on somebody's own machine: the address tells nothing
            if server is not None and "{" not in server.host:
                tables.by_host.setdefault(server.host, preset)
            elif server is not None and "{region}" in server.host:
                pattern = re.escape(server.host).replace(re.escape("{region}"), "[a-z0-9-]+")
                tables.by_pattern[re.compile(pattern)] = preset
    return tables


def _read(row: dict[str, str]) -> Preset:
    return Preset(
        slug=row["slug"],
        name=row["name"],
        auth=row["auth"],
        note=row["note"],
        smtp=_server(row["smtp_host"], row["smtp_port"], row["smtp_encryption"]),
        imap=_server(row["imap_host"], row["imap_port"], row["imap_encryption"]),
        smtp_alternatives=_servers(row["smtp_alternatives"]),
        imap_alternatives=_servers(row["imap_alternatives"]),
        smtp_username=row["smtp_username"],
        imap_username=row["imap_username"],
        is_by_domain="{domain}" in row["smtp_host"] + row["imap_host"],
    )


def _split(cell: str) -> list[str]:
    return cell.split("|") if cell else []


def _server(host: str, port: str, encryption: str) -> Server | None:
    return Server(host, int(port), Encryption(encryption)) if host else None


def _servers(cell: str) -> tuple[Server, ...]:
    parts = [entry.rsplit(":", 2) for entry in _split(cell)]
    return tuple(Server(host, int(port), Encryption(encryption)) for host, port, encryption in parts)
