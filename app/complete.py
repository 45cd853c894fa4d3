"""I/O: what a row leaves out of a side: its host by discovery, port and encryption by what is known or usual.

What the row does say is kept, and where each value came from is noted.
"""

from collections.abc import Sequence
from typing import Final

from msgspec.structs import replace

from app.intake.address import split_domain
from app.intake.encryption import USUAL_PORTS, parse_encryption
from app.login.autoconfig import fill_username
from app.login.check import Tools
from app.login.discover import Found, discover
from app.model import Encryption, Protocol, Server, Side, Source

MOST_SERVERS: Final = 3


async def complete_side(protocol: Protocol, side: Side, tools: Tools) -> list[Side]:
    """Return a side with all that could be found, once for each server that it may mean, the most trusted first.

    Empty: the row names no host, and nothing is known of the domain.

    Raises:
        ResolveError: the name servers could not say.
    """
    if side.host:
        return [_fill(protocol, side)]
    found = await discover(split_domain(side.address)[1], protocol, tools)
    return [_fill(protocol, _take(side, one)) for one in _choose(found, side)]


def _choose(found: Sequence[Found], side: Side) -> Sequence[Found]:
    """Return the servers that are as the row says, as far as the row says anything; else the first."""
    fitting: dict[Server, Found] = {}
    for one in found:
        if side.port in {0, one.server.port} and side.encryption in {None, one.server.encryption}:
            fitting.setdefault(one.server, one)  # documents may name one several times
    return list(fitting.values())[:MOST_SERVERS] or found[:1]


def _take(side: Side, found: Found) -> Side:
    """Return a side at a server, with as much of the server's settings as the row leaves open."""
    sources, server = dict(side.sources), found.server
    port, encryption, username = side.port, side.encryption, side.username
    sources["host"] = found.source
    if not port and encryption in {None, server.encryption}:
        port, sources["port"] = server.port, found.source
    if encryption is None and port == server.port:
        encryption, sources["encryption"] = server.encryption, found.source
    if found.username and sources.get("username") is Source.ADDRESS:
        username, sources["username"] = fill_username(found.username, side.address), found.source
    return replace(side, host=server.host, port=port, encryption=encryption, username=username, sources=sources)


def _fill(protocol: Protocol, side: Side) -> Side:
    """Return a side with what is usual where nothing is known."""
    sources, port, encryption = dict(side.sources), side.port, side.encryption
    if encryption is None:
        encryption, sources["encryption"] = parse_encryption("", port) or Encryption.SSL, Source.USUAL
    if not port:
        port, sources["port"] = USUAL_PORTS[protocol, encryption], Source.USUAL
    return replace(side, port=port, encryption=encryption, sources=sources)
