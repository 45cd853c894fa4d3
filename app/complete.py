"""I/O: what a row leaves out of a side: its host by discovery, port and encryption by what is known or usual.

What the row does say is kept, and where each value came from is noted.
"""

from collections.abc import Sequence
from dataclasses import replace

from app.intake.address import split_domain
from app.intake.encryption import USUAL_PORTS, parse_encryption
from app.login.check import Tools
from app.login.discover import Found, discover
from app.model import Encryption, Protocol, Side, Source


async def complete_side(protocol: Protocol, side: Side, tools: Tools) -> Side:
    """Return a side with all that could be found; its host is empty where nothing is known of the domain.

    Raises:
        ResolveError: the name servers could not say.
    """
    sources = dict(side.sources)
    host, port, encryption = side.host, side.port, side.encryption
    if not host:
        found = await discover(split_domain(side.address)[1], protocol, tools)
        if not found:
            return side
        best = _choose(found, side)
        host, sources["host"] = best.server.host, best.source
        if not port and encryption in {None, best.server.encryption}:
            port, sources["port"] = best.server.port, best.source
        if encryption is None and port == best.server.port:
            encryption, sources["encryption"] = best.server.encryption, best.source
    if encryption is None:
        encryption, sources["encryption"] = parse_encryption("", port) or Encryption.SSL, Source.USUAL
    if not port:
        port, sources["port"] = USUAL_PORTS[protocol, encryption], Source.USUAL
    return replace(side, host=host, port=port, encryption=encryption, sources=sources)


def _choose(found: Sequence[Found], side: Side) -> Found:
    """Return the first server that is as the row says, as far as the row says anything; else the first."""
    for one in found:
        if side.port in {0, one.server.port} and side.encryption in {None, one.server.encryption}:
            return one
    return found[0]
