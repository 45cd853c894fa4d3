"""I/O: where this service itself listens, so that no row can make it knock at its own doors."""

import asyncio
import socket
from collections.abc import Iterable

from app.egress import EVERYWHERE

Listener = tuple[str, int]

_OUTSIDE = ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1"))
"""Addresses that nobody has (RFC 5737, RFC 3849): the way there tells by which of ours we go out."""


async def list_own_listeners(listeners: Iterable[tuple[str, int]]) -> frozenset[Listener]:
    """Return the addresses behind what processes of ours are told to listen on; an empty host is every address.

    Names are looked up. Port 0, any free one, is left out: which one it became is not known here.
    """
    found: set[Listener] = set()
    for host, port in listeners:
        if port and host.strip("[]") in {"", *EVERYWHERE}:
            found.update((address, port) for address in (*EVERYWHERE, *await _list_addresses()))
        elif port:
            found.update((address, port) for address in await _look_up(host.strip("[]")))
    return frozenset(found)


async def _list_addresses() -> set[str]:
    """Return the addresses that this machine is known by and goes out by."""
    found = set(await _look_up(socket.gethostname()))
    for family, somebody in _OUTSIDE:
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                probe.connect((somebody, 9))  # nothing is sent: only a way is chosen
                found.add(str(probe.getsockname()[0]))
        except OSError:
            continue
    return found


async def _look_up(host: str) -> list[str]:
    try:
        infos = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return []
    return [str(info[4][0]).partition("%")[0] for info in infos]
