"""Pure: the server and the user name of one side, filled as far as can be without asking the network.

Rows of one file name the same few servers again and again, so each is worked out once (`lru_cache`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType

from app.intake.address import REMEMBERED, HostParts, parse_host, split_domain
from app.intake.encryption import USUAL_PORTS, is_port_needed, parse_encryption
from app.intake.fields import quote
from app.intake.presets import FIXED_USERNAMES, PASSWORD_IS_USERNAME, Preset, find_preset_by_host
from app.model import Encryption, Protocol, Server, Source

Problem = tuple[str, str, str]
"""Field, code and message of a row error."""


@dataclass(frozen=True, slots=True)
class Known:
    """The provider, by the row's own word (`Source.PRESET`) or by the address's domain (`DOMAIN_PRESET`)."""

    preset: Preset | None
    source: Source


@dataclass(frozen=True, slots=True)
class Filled:
    """A side's server as far as it is known: empty host and port 0 are to be found when it is checked."""

    host: str = ""
    port: int = 0
    encryption: Encryption | None = None
    preset: Preset | None = None
    """Whose server it is."""
    sources: Mapping[str, Source] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class UsernameRule:
    """How a user name is made of the other side's and the address; `problem`: why it cannot be.

    `pick` None: it is the address, as nearly everywhere.
    """

    pick: Callable[[str, str], str] | None
    source: Source
    problem: Problem | None = None


@lru_cache(maxsize=REMEMBERED)
def fill_server(protocol: Protocol, known: Known, domain: str, host: str, port: int, word: str) -> Filled:
    """Return the server that the cells and the provider come to.

    `domain`: the address's, empty where it has none. `host`, `port`, `word`: the cells; empty and 0 where absent.
    """
    parts = parse_host(host) if host else HostParts("")
    if parts is None:
        problem = (f"{protocol}Host", "format", f"{protocol}Host is not the name of a server: {quote(host)}.")
        return Filled(problems=(problem,))
    port = port or parts.port
    if word and parse_encryption(word, port) is None:
        message = f"{protocol}Encryption must be ssl, starttls or none, not {quote(word)}."
        return Filled(problems=((f"{protocol}Encryption", "value", message),))
    preset = known.preset.server(protocol, domain) if known.preset is not None else None
    if not parts.host and preset is None:
        return _without_host(protocol, known, domain, port, word)
    sources = {"host": Source.ROW if parts.host else known.source}
    name = parts.host or (preset.host if preset is not None else "")
    same = preset if preset is not None and preset.host == name else None
    encryption = _read_encryption(protocol, word, port, same, is_tls=parts.is_tls)
    if port:
        sources["port"] = Source.ROW
    else:
        port, sources["port"] = _choose_port(protocol, encryption, same, known)
    if word or parts.is_tls:
        sources["encryption"] = Source.ROW
    else:
        sources["encryption"] = known.source if same is not None and same.port == port else Source.USUAL
    return Filled(name, port, encryption, _find_owner(known, name), MappingProxyType(sources))


def _without_host(protocol: Protocol, known: Known, domain: str, port: int, word: str) -> Filled:
    """Nobody names a host: the domain may lead to one, unless the row's provider is one where it cannot."""
    field_name = f"{protocol}Host"
    named = known.preset if known.source is Source.PRESET else None
    server = None if named is None else named.smtp if protocol is Protocol.SMTP else named.imap
    if named is not None and server is not None:
        message = f"{field_name} is missing: {named.name} gives each customer a host of their own."
        return Filled(problems=((field_name, "missing", message),))
    if not domain:
        return Filled(problems=((field_name, "missing", f"{field_name} is missing."),))
    is_clear = bool(word) and not (is_port_needed(word) and not port)
    encryption = parse_encryption(word, port) if port or is_clear else None
    sources = {"port": Source.ROW} if port else {}
    if encryption is not None:
        sources["encryption"] = Source.ROW if word else Source.USUAL
    return Filled("", port, encryption, known.preset, MappingProxyType(sources))


def _read_encryption(protocol: Protocol, word: str, port: int, same: Server | None, *, is_tls: bool) -> Encryption:
    if is_tls and not word:
        return Encryption.SSL
    if not word and same is not None and port in {0, same.port}:
        return same.encryption
    if word and not port and is_port_needed(word):
        # `tls` with no port: the provider's port tells; else the protocol's own STARTTLS port.
        port = same.port if same is not None else USUAL_PORTS[protocol, Encryption.STARTTLS]
    return parse_encryption(word, port) or Encryption.SSL


def _choose_port(protocol: Protocol, encryption: Encryption, same: Server | None, known: Known) -> tuple[int, Source]:
    if same is not None and known.preset is not None:
        for server in (same, *known.preset.alternatives(protocol)):
            if server.encryption is encryption:
                return server.port, known.source
    return USUAL_PORTS[protocol, encryption], Source.USUAL


def _find_owner(known: Known, host: str) -> Preset | None:
    """Return whose server a host is: the provider's as far as it is one of its own, else another's, else the named."""
    if known.preset is not None and known.preset.owns(host):
        return known.preset
    return find_preset_by_host(host) or (known.preset if known.source is Source.PRESET else None)


@lru_cache(maxsize=REMEMBERED)
def find_username_rule(protocol: Protocol, preset: Preset | None, source: Source, has_other: bool) -> UsernameRule:
    """Return how a side without a user name gets one: the other side's, the provider's, the address.

    `preset`: whose server the side uses, known by `source`. `has_other`: the other side's name may serve. A literal
    name that the provider prescribes goes before it, for there it can only be wrong.
    """
    slug = preset.slug if preset is not None else ""
    if protocol is Protocol.SMTP and slug in FIXED_USERNAMES:
        literal = FIXED_USERNAMES[slug]
        return UsernameRule(lambda _other, _address: literal, source)
    if protocol is Protocol.SMTP and slug in PASSWORD_IS_USERNAME:
        # The token is its own user name: the login puts it in, so that it stays sealed until then.
        return UsernameRule(_pick_none, source)
    if has_other:
        return UsernameRule(lambda other, _address: other, Source.OTHER_SIDE)
    if preset is None:
        return UsernameRule(None, Source.ADDRESS)
    rule = preset.username_rule(protocol)
    if rule == "other":
        name = f"{protocol}UserName"
        problem = (name, "missing", f"{name} is missing: at {preset.name} it is not the address.")
        return UsernameRule(_pick_none, source, problem)
    return UsernameRule(_pick_local_part if rule == "localpart" else None, source)


def _pick_none(_other: str, _address: str) -> str:
    return ""


def _pick_local_part(_other: str, address: str) -> str:
    return split_domain(address)[0]
