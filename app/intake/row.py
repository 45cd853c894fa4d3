"""Pure: one entry of a request to a `Row`, filled as far as can be without asking the network.

A missing value comes, in this order, from the row's other side, the named provider, the address's domain, the usual
ports. What the network must tell (MX, SRV, autoconfig) stays empty and is found when the row is checked.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from app.intake.address import REMEMBERED, load_suffixes, organisation_of, split_domain
from app.intake.carried import read_carried
from app.intake.credentials import mend_password
from app.intake.fields import SECRET_FIELDS
from app.intake.fill import Known, find_username_rule
from app.intake.presets import find_preset, find_preset_by_domain, load_presets
from app.intake.reading import Reading
from app.intake.settle import Settled, SettledSide, settle_servers
from app.model import Correction, Protocol, Row, RowError, Secret, Secrets, Side, Source


@dataclass(frozen=True, slots=True)
class _Names:
    """The fields of one side."""

    protocol: Protocol
    switch: str
    address: str
    username: str
    password: str
    token: str


def _name(protocol: Protocol) -> _Names:
    parts = ("EmailAddress", "UserName", "Password", "AccessToken")
    return _Names(protocol, protocol.value, *(f"{protocol}{part}" for part in parts))


_SMTP: Final = _name(Protocol.SMTP)
_IMAP: Final = _name(Protocol.IMAP)


@dataclass(slots=True)
class _Draft:
    """One side while it is read."""

    names: _Names
    wanted: bool
    address: str = ""
    username: str = field(default="", repr=False)
    secret: str = field(default="", repr=False)
    is_token: bool = False


def read_row(values: Mapping[str, object], number: int) -> Row:
    """Read entry `number` (from 1). What is wrong stands in the row's `errors`."""
    reading = Reading(number, values)
    smtp = _Draft(_SMTP, reading.switch("smtp") if "smtp" in values else True)
    imap = _Draft(_IMAP, reading.switch("imap") if "imap" in values else True)
    if not smtp.wanted and not imap.wanted:
        reading.fail("smtp", "value", "smtp and imap are both false: nothing is left to check.")
    if "smtpUserName" in values:
        smtp.username = reading.text("smtpUserName")
    if "imapUserName" in values:
        imap.username = reading.text("imapUserName")
    email = _read_addresses(reading, smtp, imap)
    domain = split_domain(email)[1]
    known = _read_provider(reading, domain)
    settled = _read_servers(reading, known, smtp, imap, domain)
    _read_secrets(reading, settled, smtp, imap)
    smtp_side = _finish(reading, known, smtp, settled.smtp, imap.username, imap)
    imap_side = _finish(reading, known, imap, settled.imap, smtp.username if settled.lends else "", smtp)
    secrets = Secrets(
        Secret(smtp.secret) if smtp.secret else None,
        Secret(imap.secret) if imap.secret else None,
        smtp.is_token,
        imap.is_token,
    )
    shown = email or reading.written("smtpEmailAddress") or reading.written("imapEmailAddress")
    provider, host = settled.provider, settled.smtp.server.host or settled.imap.server.host
    pace_key = provider or organisation_of(host or domain)
    details, extra = read_carried(reading)
    external_id = reading.text("externalId") if "externalId" in values else ""
    errors, corrections = tuple(reading.errors), tuple(reading.corrections)
    return Row(
        row=number,
        email=shown,
        external_id=external_id,
        provider=provider,
        pace_key=pace_key,
        smtp=smtp_side,
        imap=imap_side,
        secrets=secrets,
        details=details,
        extra=extra,
        errors=errors,
        corrections=corrections,
    )


def not_an_object(number: int, kind: str) -> Row:
    """Return the row of an entry that is no object."""
    return broken_row(number, f"Row {number} must be an object with an account's fields, not {kind}.")


def broken_row(number: int, message: str, field_name: str = "", code: str = "type") -> Row:
    """Return the row of an entry that cannot be read at all. `field_name`: what holds the entry, if that has a name."""
    error = RowError(number, field_name, code, message)
    return Row(number, "", "", "", "", Side(), Side(), Secrets(), {}, {}, (error,))


def warm_up() -> None:
    """Read the tables now, so that the first request does not wait for them."""
    load_presets()
    load_suffixes()


def _read_addresses(reading: Reading, smtp: _Draft, imap: _Draft) -> str:
    """Read both addresses and return the one that names the account; a user name may serve where there is none."""
    values = reading.values
    smtp.address = reading.address("smtpEmailAddress")
    if "imapEmailAddress" in values:
        same = values["imapEmailAddress"] == values.get("smtpEmailAddress")
        imap.address = smtp.address if same else reading.address("imapEmailAddress")
    if not smtp.address and not imap.address and not reading.errors:
        draft = smtp if smtp.username.count("@") == 1 else imap
        if draft.username.count("@") == 1:
            draft.address = reading.address(draft.names.username)
        else:
            reading.fail("smtpEmailAddress", "missing", "smtpEmailAddress is missing, and so is imapEmailAddress.")
    email = smtp.address or imap.address
    smtp.address, imap.address = smtp.address or email, imap.address or email
    return email


def _read_provider(reading: Reading, domain: str) -> Known:
    name = reading.text("emailServiceProvider")
    if name and find_preset(name) is None:
        reason = "No provider of that name is known; the settings are found from the address instead."
        reading.corrections.append(Correction("emailServiceProvider", name, name, reason))
    return _find_known(name, domain)


@lru_cache(maxsize=REMEMBERED)
def _find_known(name: str, domain: str) -> Known:
    preset = find_preset(name) if name else None
    if preset is not None and preset.slug != "other":
        return Known(preset, Source.PRESET)
    return Known(find_preset_by_domain(domain), Source.DOMAIN_PRESET)


def _read_servers(reading: Reading, known: Known, smtp: _Draft, imap: _Draft, domain: str) -> Settled:
    """Settle the servers. `domain`: that of SMTP's address; IMAP may have another."""
    imap_domain = domain if imap.address is smtp.address else split_domain(imap.address)[1]
    settled = settle_servers(reading.values, known, smtp.wanted, imap.wanted, domain, imap_domain)
    smtp.wanted, imap.wanted = settled.smtp.wanted, settled.imap.wanted
    for problem in settled.problems:
        reading.fail(*problem)
    reading.corrections += settled.corrections
    return settled


def _read_secrets(reading: Reading, settled: Settled, smtp: _Draft, imap: _Draft) -> None:
    """Read the credentials; one side's serve the other where it has none. A side that is not wanted keeps none."""
    values = reading.values
    shared = reading.secret("accessToken") if "accessToken" in values else ""
    for draft, side in ((smtp, settled.smtp), (imap, settled.imap)):
        names = draft.names
        password = reading.secret(names.password) if names.password in values else ""
        token = (reading.secret(names.token) if names.token in values else "") or shared
        if password and not token and draft.wanted:
            slug = side.server.preset.slug if side.server.preset is not None else ""
            password, told = mend_password(names.password, password, slug)
            reading.corrections += told
        draft.secret, draft.is_token = (token, True) if token else (password, False)
    if not smtp.secret or not imap.secret:
        _lend_secrets(reading, smtp, imap, lends=settled.lends)
    for draft in (smtp, imap):
        if not draft.wanted:
            draft.secret, draft.is_token = "", False


def _lend_secrets(reading: Reading, smtp: _Draft, imap: _Draft, *, lends: bool) -> None:
    for draft, other, may_lend in ((smtp, imap, True), (imap, smtp, lends)):
        if not draft.secret and draft.wanted and other.secret and may_lend:
            draft.secret, draft.is_token = other.secret, other.is_token
        elif not draft.secret and draft.wanted and not reading.has_failed(*SECRET_FIELDS):
            name = draft.names.password
            reading.fail(name, "missing", f"{name} is missing, and no access token is given.")


def _finish(
    reading: Reading, known: Known, draft: _Draft, settled: SettledSide, other_username: str, other: _Draft
) -> Side:
    if not draft.wanted:
        return Side(wanted=False, address=draft.address)
    names, server, values = draft.names, settled.server, reading.values
    text, source = draft.username, Source.ROW
    if not text:
        known_by = known.source if server.preset is known.preset else Source.PRESET
        rule = find_username_rule(names.protocol, server.preset, known_by, bool(other_username))
        text, source = draft.address if rule.pick is None else rule.pick(other_username, draft.address), rule.source
        if rule.problem is not None and draft.address:
            reading.fail(*rule.problem)
    is_own = draft.secret != other.secret or values.get(names.password) or values.get(names.token)
    is_own = is_own or values.get("accessToken")
    sources = settled.merge_sources(source, Source.ROW if is_own else Source.OTHER_SIDE)
    return Side(True, draft.address, text, server.host, server.port, server.encryption, sources)
