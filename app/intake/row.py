"""Pure: one entry of a request to a `Row`, filled as far as can be without asking the network.

A missing value comes, in this order, from the row's other side, the named provider, the address's domain, the usual
ports. What the network must tell (MX, SRV, autoconfig) stays empty and is found when the row is checked.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from app.intake.address import HostParts, organisation_of, split_domain
from app.intake.credentials import mend_password
from app.intake.encryption import USUAL_PORTS, is_port_needed, parse_encryption
from app.intake.fields import Reading
from app.intake.presets import (
    FIXED_USERNAMES,
    PASSWORD_IS_USERNAME,
    Preset,
    find_preset,
    find_preset_by_domain,
    find_preset_by_host,
)
from app.model import Correction, Encryption, Protocol, Row, RowError, Secret, Secrets, Server, Side, Source


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known of the provider: by the row's own word, or by the address's domain."""

    preset: Preset | None
    source: Source


def read_row(values: Mapping[str, object], number: int) -> Row:
    """Read entry `number` (from 1). What is wrong stands in the row's `errors`."""
    reading = Reading(number, values)
    addresses = {side: reading.address(f"{side}EmailAddress") for side in ("smtp", "imap")}
    usernames = {side: reading.text(f"{side}UserName") for side in ("smtp", "imap")}
    for side in ("smtp", "imap"):
        if not addresses[side] and usernames[side].count("@") == 1:
            addresses[side] = reading.address(f"{side}UserName")
    email = addresses["smtp"] or addresses["imap"]
    if not email and not any(error.field.endswith("EmailAddress") for error in reading.errors):
        reading.fail("smtpEmailAddress", "missing", "smtpEmailAddress is missing, and so is imapEmailAddress.")
    known = _find_provider(reading, email)
    hosts = {side: reading.host(f"{side}Host") for side in ("smtp", "imap")}
    wanted = _wanted(reading, known, hosts)
    secrets = _read_secrets(reading, wanted, known)
    smtp, imap = (
        _fill_side(
            reading,
            protocol,
            known,
            wanted=wanted[protocol],
            address=addresses[protocol] or email,
            usernames=(usernames[protocol], usernames["imap" if protocol == "smtp" else "smtp"]),
            host=hosts[protocol],
            secret=secrets.smtp if protocol == "smtp" else secrets.imap,
        )
        for protocol in (Protocol.SMTP, Protocol.IMAP)
    )
    provider = known.preset or find_preset_by_host(smtp.host or imap.host)
    slug = provider.slug if provider is not None and provider.slug != "other" else ""
    return Row(
        row=number,
        email=email,
        external_id=reading.text("externalId"),
        provider=slug,
        pace_key=slug or organisation_of(smtp.host or imap.host or split_domain(email)[1]),
        smtp=smtp,
        imap=imap,
        secrets=secrets,
        details=reading.carried(),
        extra=reading.extra(),
        errors=tuple(reading.errors),
        corrections=tuple(reading.corrections),
    )


def not_an_object(number: int, kind: str) -> Row:
    """Return the row of an entry that is no object."""
    error = RowError(number, "", "type", f"Row {number} must be an object with an account's fields, not {kind}.")
    return Row(number, "", "", "", "", Side(), Side(), Secrets(), {}, {}, (error,))


def _find_provider(reading: Reading, email: str) -> _Known:
    name = reading.text("emailServiceProvider")
    preset = find_preset(name) if name else None
    if preset is not None and preset.slug != "other":
        return _Known(preset, Source.PRESET)
    if name and preset is None:
        reason = "No provider of that name is known; the address's domain was asked instead."
        reading.corrections.append(Correction("emailServiceProvider", name, "", reason))
    return _Known(find_preset_by_domain(split_domain(email)[1]), Source.DOMAIN_PRESET)


def _wanted(reading: Reading, known: _Known, hosts: Mapping[str, HostParts]) -> dict[str, bool]:
    """Tell which sides are to be checked. A provider that only sends has no IMAP side, unless the row names one."""
    wanted = {side: reading.switch(side) for side in ("smtp", "imap")}
    if not any(wanted.values()):
        reading.fail("smtp", "value", "smtp and imap are both false: nothing is left to check.")
    preset = known.preset
    if preset is not None and known.source is Source.PRESET and preset.auth != "none":
        sends_only = preset.imap is None and preset.smtp is not None
        names_imap = hosts["imap"].host or reading.values.get("imapPassword") or reading.values.get("imapUserName")
        wanted["imap"] = wanted["imap"] and not (sends_only and not names_imap)
    return wanted


def _read_secrets(reading: Reading, wanted: Mapping[str, bool], known: _Known) -> Secrets:
    slug = known.preset.slug if known.preset is not None else ""
    shared = reading.secret("accessToken")
    found: dict[str, tuple[str, bool]] = {}
    for side in ("smtp", "imap"):
        token = reading.secret(f"{side}AccessToken") or shared
        password = reading.secret(f"{side}Password")
        if password and not token:
            password, told = mend_password(f"{side}Password", password, slug)
            reading.corrections += told if wanted[side] else []
        found[side] = (token, True) if token else (password, False)
    bad = {error.field for error in reading.errors}
    for side, other in (("smtp", "imap"), ("imap", "smtp")):
        if not found[side][0]:
            found[side] = found[other]
        if wanted[side] and not found[side][0] and not bad & {f"{side}Password", f"{other}Password", "accessToken"}:
            reading.fail(f"{side}Password", "missing", f"{side}Password is missing, and no access token is given.")
    secrets = {side: Secret(text) if text and wanted[side] else None for side, (text, _) in found.items()}
    return Secrets(secrets["smtp"], secrets["imap"], found["smtp"][1], found["imap"][1])


def _fill_side(
    reading: Reading,
    protocol: Protocol,
    known: _Known,
    *,
    wanted: bool,
    address: str,
    usernames: tuple[str, str],
    host: HostParts,
    secret: Secret | None,
) -> Side:
    port = reading.port(f"{protocol}Port")
    word = reading.text(f"{protocol}Encryption")
    if not wanted:
        return Side(wanted=False, address=address)
    sources: dict[str, Source] = {}
    server = _fill_server(reading, protocol, known, host, port, word, address, sources)
    username = _fill_username(reading, protocol, known, usernames, address, secret, sources)
    return Side(True, address, username, server.host, server.port, server.encryption, sources)


@dataclass(frozen=True, slots=True)
class _Server:
    host: str = ""
    port: int = 0
    encryption: Encryption | None = None


def _fill_server(
    reading: Reading,
    protocol: Protocol,
    known: _Known,
    host: HostParts,
    port: int,
    word: str,
    address: str,
    sources: dict[str, Source],
) -> _Server:
    preset = known.preset.server(protocol, split_domain(address)[1]) if known.preset is not None else None
    name, port = host.host, port or host.port
    if word and parse_encryption(word, port) is None:
        reading.fail(
            f"{protocol}Encryption", "value", f'{protocol}Encryption must be ssl, starttls or none, not "{word}".'
        )
    if name:
        sources["host"] = Source.ROW
    elif preset is not None:
        name = preset.host
        sources["host"] = known.source
    elif not address and not reading.errors:
        reading.fail(f"{protocol}Host", "missing", f"{protocol}Host is missing.")
    if not name:
        own = parse_encryption(word, port) if word or port else None
        return _Server("", port, own)
    same = preset if preset is not None and preset.host == name else None
    if port:
        sources["port"] = Source.ROW
    if word or host.is_tls:
        sources["encryption"] = Source.ROW
    encryption = _read_encryption(protocol, word, port, same, is_tls=host.is_tls)
    if not port:
        port, sources["port"] = _choose_port(protocol, encryption, same, known)
    if "encryption" not in sources:
        sources["encryption"] = known.source if same is not None and same.port == port else Source.USUAL
    return _Server(name, port, encryption)


def _read_encryption(protocol: Protocol, word: str, port: int, same: Server | None, *, is_tls: bool) -> Encryption:
    if is_tls and not word:
        return Encryption.SSL
    if not word and same is not None and port in {0, same.port}:
        return same.encryption
    if word and not port and is_port_needed(word):
        # `tls` with no port: the provider's port tells; else the protocol's own STARTTLS port.
        port = same.port if same is not None else USUAL_PORTS[protocol, Encryption.STARTTLS]
    return parse_encryption(word, port) or Encryption.SSL


def _choose_port(protocol: Protocol, encryption: Encryption, same: Server | None, known: _Known) -> tuple[int, Source]:
    if same is not None and same.encryption is encryption:
        return same.port, known.source
    for server in known.preset.alternatives(protocol) if known.preset is not None and same is not None else ():
        if server.encryption is encryption:
            return server.port, known.source
    return USUAL_PORTS[protocol, encryption], Source.USUAL


def _fill_username(
    reading: Reading,
    protocol: Protocol,
    known: _Known,
    usernames: tuple[str, str],
    address: str,
    secret: Secret | None,
    sources: dict[str, Source],
) -> str:
    own, other = usernames
    slug = known.preset.slug if known.preset is not None else ""
    rule = known.preset.username_rule(protocol) if known.preset is not None else "address"
    if own:
        sources["username"] = Source.ROW
        return own
    if protocol is Protocol.SMTP and slug in FIXED_USERNAMES:
        sources["username"] = known.source
        return FIXED_USERNAMES[slug]
    if protocol is Protocol.SMTP and slug in PASSWORD_IS_USERNAME and secret is not None:
        # The token is its own user name: the check fills it in, so that it stays sealed here.
        sources["username"] = known.source
        return ""
    if other:
        sources["username"] = Source.OTHER_SIDE
        return other
    if rule == "other":
        reading.fail(f"{protocol}UserName", "missing", f"{protocol}UserName is missing: this provider's is no address.")
        return ""
    sources["username"] = known.source if known.preset is not None else Source.ADDRESS
    return split_domain(address)[0] if rule == "localpart" else address
