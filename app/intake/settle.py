"""Pure: the servers of a row's two sides, worked out once for all rows that say the same of them; most do."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType, NoneType
from typing import Final

from app.intake.address import REMEMBERED
from app.intake.fill import Filled, Known, Problem, fill_server
from app.intake.policy import judge_before_dialling
from app.intake.presets import Preset
from app.intake.reading import Reading
from app.model import Correction, Protocol, Source

_CELLS: Final = ("smtpHost", "smtpPort", "smtpEncryption", "imapHost", "imapPort", "imapEncryption")
_PLAIN: Final = frozenset({str, int, float, bool, NoneType})
_ANY_DOMAIN: Final = "."
"""Stands for a domain where it does not matter which."""


@dataclass(frozen=True, slots=True)
class SettledSide:
    """One side: whether it is to be checked, and its server. `merged`: see `merge_sources`."""

    wanted: bool
    server: Filled
    merged: dict[tuple[Source, Source], Mapping[str, Source]] = field(default_factory=dict)

    def merge_sources(self, username: Source, password: Source) -> Mapping[str, Source]:
        """Return where the side's settings come from. Rows share it, so nobody can change it."""
        sources = self.merged.get((username, password))
        if sources is None:
            sources = MappingProxyType({**self.server.sources, "username": username, "password": password})
            self.merged[username, password] = sources
        return sources


@dataclass(frozen=True, slots=True)
class Settled:
    """Both sides. `provider`: whose servers they are. `lends`: SMTP's user name and credential may serve IMAP."""

    smtp: SettledSide
    imap: SettledSide
    provider: str
    lends: bool
    problems: tuple[Problem, ...] = ()
    corrections: tuple[Correction, ...] = ()


class _ProblemsError(Exception):
    """Cells that are wrong are not remembered: they may be as long as the body."""

    def __init__(self, settled: Settled) -> None:
        super().__init__()
        self.settled: Final = settled


def settle_servers(
    values: Mapping[str, object], known: Known, smtp_wanted: bool, imap_wanted: bool, smtp_domain: str, imap_domain: str
) -> Settled:
    """Return the servers that a row's cells and its provider come to. The domains are the addresses', or empty."""
    get = values.get
    cells = () if values.keys().isdisjoint(_CELLS) else tuple(map(get, _CELLS))
    preset = known.preset
    if preset is None or not preset.is_by_domain:
        smtp_domain, imap_domain = smtp_domain and _ANY_DOMAIN, imap_domain and _ANY_DOMAIN
    speaks_of_imap = bool(get("imapHost") or get("imapPassword"))
    key = (preset, known.source, smtp_wanted, imap_wanted, smtp_domain, imap_domain, speaks_of_imap)
    if cells and not _PLAIN.issuperset(map(type, cells)):
        return _settle(*key, cells)
    try:
        return _remember(*key, *cells)
    except _ProblemsError as problems:
        return problems.settled


@lru_cache(maxsize=REMEMBERED, typed=True)
def _remember(
    preset: Preset | None,
    source: Source,
    smtp_wanted: bool,
    imap_wanted: bool,
    smtp_domain: str,
    imap_domain: str,
    speaks_of_imap: bool,
    *cells: object,
) -> Settled:
    settled = _settle(preset, source, smtp_wanted, imap_wanted, smtp_domain, imap_domain, speaks_of_imap, cells)
    if settled.problems:
        raise _ProblemsError(settled)
    return settled


def _settle(
    preset: Preset | None,
    source: Source,
    smtp_wanted: bool,
    imap_wanted: bool,
    smtp_domain: str,
    imap_domain: str,
    speaks_of_imap: bool,
    cells: tuple[object, ...],
) -> Settled:
    """Read both servers. Where SMTP is at a service that only sends, IMAP is wanted only if the row speaks of it.

    `cells`: all of `_CELLS`, or none where the row has none of them.
    """
    reading = Reading(0, dict(zip(_CELLS, cells, strict=False)))
    known = Known(preset, source)
    smtp = imap = Filled()
    lends = True
    if smtp_wanted:
        smtp = _read_server(reading, Protocol.SMTP, known, smtp_domain)
        owner = smtp.preset
        if owner is not None and owner.imap is None and owner.smtp is not None:
            lends = False
            is_named = source is Source.PRESET or owner.smtp_username == "other"
            imap_wanted = imap_wanted and (speaks_of_imap or not is_named)
    if imap_wanted:
        imap = _read_server(reading, Protocol.IMAP, known, imap_domain)
    owners = (preset if source is Source.PRESET else None, smtp.preset, imap.preset)
    provider = next((owner.slug for owner in owners if owner is not None), "")
    return Settled(
        SettledSide(smtp_wanted, smtp),
        SettledSide(imap_wanted, imap),
        provider,
        # Where no credential would ever be sent, none is asked for.
        lends or (imap_wanted and _takes_nothing(provider, imap)),
        tuple((error.field, error.code, error.message) for error in reading.errors),
        tuple(reading.corrections),
    )


def _takes_nothing(provider: str, imap: Filled) -> bool:
    """Tell whether neither a password nor a token is ever sent to IMAP: the check judges by the same provider."""
    return all(
        judge_before_dialling(provider, Protocol.IMAP, host=imap.host, is_token=is_token) is not None
        for is_token in (False, True)
    )


def _read_server(reading: Reading, protocol: Protocol, known: Known, domain: str) -> Filled:
    host, port = reading.text(f"{protocol}Host"), reading.port(f"{protocol}Port")
    server = fill_server(protocol, known, domain, host, port, reading.word(f"{protocol}Encryption"))
    for field_name, code, message in server.problems:
        if domain or code != "missing":
            reading.fail(field_name, code, message)
    return server
