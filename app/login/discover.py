"""I/O: the mail servers of a domain, where neither the row nor a preset names them.

In the order of CONTRACT section 2: who receives the domain's mail (MX, RFC 5321 section 5) and so runs it; SRV records
(RFC 6186, RFC 8314 section 5.1); the autoconfig document of Thunderbird's kind. Rows of one domain share one search.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from app.egress import Policy
from app.intake.presets import find_preset_by_mx
from app.login.autoconfig import fetch_autoconfig
from app.login.check import Tools
from app.login.resolve import ResolveError, Resolver
from app.model import Encryption, FailureKind, Protocol, Server, Source

_SRV: Final = {
    Protocol.IMAP: (("_imaps._tcp", Encryption.SSL), ("_imap._tcp", Encryption.STARTTLS)),
    Protocol.SMTP: (("_submissions._tcp", Encryption.SSL), ("_submission._tcp", Encryption.STARTTLS)),
}
SEARCH_SECONDS: Final = 20.0


@dataclass(frozen=True, slots=True)
class Found:
    """A server, and what told of it."""

    server: Server
    source: Source


async def discover(domain: str, protocol: Protocol, tools: Tools) -> list[Found]:
    """Return the servers of a side of `domain`, the most trusted first; empty: nothing is known of it."""

    async def search(name: str) -> list[Found]:
        return await find_servers(name, protocol, tools.resolver, tools.egress)

    try:
        found: list[Found] = await tools.resolver.remember(f"servers of {protocol}", domain, search)
    except ResolveError:
        return []
    return found


async def find_servers(domain: str, protocol: Protocol, resolver: Resolver, policy: Policy) -> list[Found]:
    """Ask one source after the other; the first that knows ends the search.

    Raises:
        ResolveError: the domain does not exist.
    """
    steps: tuple[Callable[[], Awaitable[list[Found]]], ...] = (
        lambda: _by_mx(domain, protocol, resolver),
        lambda: _by_srv(domain, protocol, resolver),
        lambda: _by_autoconfig(domain, protocol, resolver, policy),
    )
    for step in steps:
        try:
            found = await step()
        except ResolveError as error:
            if error.kind is FailureKind.NAME_NOT_FOUND and step is steps[0]:
                continue  # a domain without MX may still have SRV records
            found = []
        if found:
            return found
    return []


async def _by_mx(domain: str, protocol: Protocol, resolver: Resolver) -> list[Found]:
    for host in (await resolver.mx(domain))[:3]:
        preset = find_preset_by_mx(host)
        server = preset.server(protocol, domain) if preset is not None else None
        if server is not None:
            return [Found(server, Source.MX)]
    return []


async def _by_srv(domain: str, protocol: Protocol, resolver: Resolver) -> list[Found]:
    found: list[Found] = []
    for service, encryption in _SRV[protocol]:
        try:
            records: list[Any] = list(await resolver.srv(f"{service}.{domain}"))
        except ResolveError:
            continue
        found += [
            Found(Server(record.target, record.port, encryption), Source.SRV) for record in records if record.target
        ]
    return found


async def _by_autoconfig(domain: str, protocol: Protocol, resolver: Resolver, policy: Policy) -> list[Found]:
    servers = await fetch_autoconfig(domain, resolver, policy)
    return [Found(server, Source.AUTOCONFIG) for of, server in servers if of is protocol]
