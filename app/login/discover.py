"""I/O: the mail servers of a domain, where neither the row nor a preset names them.

In the order of CONTRACT section 2: who receives the domain's mail (MX, RFC 5321 section 5) and so runs it; SRV records
(RFC 6186, RFC 8314 section 5.1); the autoconfig document of Thunderbird's kind. Rows of one domain share one search.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from app.checked import FailureKind
from app.egress import Policy
from app.intake.presets import find_preset_by_mx
from app.login.autoconfig import fetch_autoconfig
from app.login.check import Tools
from app.login.resolve import ResolveError, Resolver, to_ascii
from app.model import Encryption, Protocol, Server, Source

_SRV: Final = {
    Protocol.IMAP: (("_imaps._tcp", Encryption.SSL), ("_imap._tcp", Encryption.STARTTLS)),
    Protocol.SMTP: (("_submissions._tcp", Encryption.SSL), ("_submission._tcp", Encryption.STARTTLS)),
}
SEARCH_SECONDS: Final = 20.0


@dataclass(frozen=True, slots=True)
class Found:
    """A server, and what told of it. `username`: how names are made of addresses there; empty: they are addresses."""

    server: Server
    source: Source
    username: str = ""


async def discover(domain: str, protocol: Protocol, tools: Tools) -> list[Found]:
    """Return the servers of a side of `domain`, the most trusted first; empty: nothing is known of it.

    Raises:
        ResolveError: the name servers could not say, so there may yet be something to know.
    """
    name = to_ascii(domain)
    if not name:
        return []

    async def search(asked: str) -> list[Found]:
        return await find_servers(asked, protocol, tools.resolver, tools.egress)

    found: list[Found] = await tools.resolver.remember(f"servers of {protocol}", name, search, SEARCH_SECONDS)
    return found


async def find_servers(domain: str, protocol: Protocol, resolver: Resolver, policy: Policy) -> list[Found]:
    """Ask one source after the other; the first that knows ends the search.

    Raises:
        ResolveError: nothing was found, and a source could not say.
    """
    steps: tuple[Callable[[], Awaitable[list[Found]]], ...] = (
        lambda: _by_mx(domain, protocol, resolver),
        lambda: _by_srv(domain, protocol, resolver),
        lambda: _by_autoconfig(domain, protocol, resolver, policy),
    )
    is_uncertain = False
    for step in steps:
        try:
            found = await step()
        except ResolveError as error:
            is_uncertain |= error.kind is FailureKind.NAME_TEMPORARY
            continue
        if found:
            return found
    if is_uncertain:
        raise ResolveError(FailureKind.NAME_TEMPORARY)
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
    failures: list[ResolveError] = []
    for service, encryption in _SRV[protocol]:
        try:
            records = await resolver.srv(f"{service}.{domain}")
        except ResolveError as error:
            failures.append(error)
            continue
        found += [
            Found(Server(record.target, record.port, encryption), Source.SRV)
            for record in records
            if record.target and record.port
        ]
    for failure in failures:
        if not found and failure.kind is FailureKind.NAME_TEMPORARY:
            raise failure
    return found


async def _by_autoconfig(domain: str, protocol: Protocol, resolver: Resolver, policy: Policy) -> list[Found]:
    servers = await fetch_autoconfig(domain, resolver, policy)
    return [Found(told.server, Source.AUTOCONFIG, told.username) for told in servers if told.protocol is protocol]
