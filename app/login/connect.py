"""I/O: a TCP connection to one of a host's addresses, by Happy Eyeballs (RFC 8305).

Addresses of the two families take turns, IPv6 first; each has 250 ms before the next is tried beside it, and
the next begins at once when one fails. `egress` judges every address before any is dialled. No task is made.
"""

import asyncio
import errno
import socket
import ssl
from collections.abc import Sequence
from typing import Final

from app.checked import FailureKind
from app.egress import Policy, refusal
from app.login.failure import DialError, classify
from app.login.pin import KnownServer
from app.login.resume import ResumingLink
from app.login.tls import HANDSHAKE_LIMIT_SECONDS

HEAD_START_SECONDS = 0.25
"""RFC 8305, section 8: Connection Attempt Delay."""

ADDRESSES_TRIED = 8

_MOST_TELLING: Final = {
    kind: rank
    for rank, kind in enumerate(
        (
            FailureKind.REFUSED,
            FailureKind.RESET,
            FailureKind.CLOSED,
            FailureKind.TIMEOUT,
            FailureKind.UNREACHABLE,
            FailureKind.OURS,
            FailureKind.NOT_ALLOWED,
        )
    )
}


def interleave(addresses: Sequence[str]) -> list[str]:
    """Order addresses for dialling: IPv6 and IPv4 in turn, IPv6 first, each family in its own order, no doubles."""
    unique = list(dict.fromkeys(addresses))
    if len(unique) == 1:
        return unique
    six = [address for address in unique if ":" in address]
    four = [address for address in unique if ":" not in address]
    turns = [address for pair in zip(six, four, strict=False) for address in pair]
    return turns + six[len(four) :] + four[len(six) :]


async def dial(
    addresses: Sequence[str], port: int, policy: Policy, timeout_seconds: float
) -> tuple[socket.socket, str]:
    """Connect to the first of `addresses` that answers. Returns a non-blocking socket and its address.

    Raises:
        DialError: with the most telling of the failures. Nothing is left open, whatever happens.
    """
    loop = asyncio.get_running_loop()
    ends_at = loop.time() + timeout_seconds
    waiting, failures = _judge(addresses, port, policy)
    running: dict[socket.socket, str] = {}
    answered: list[socket.socket] = []
    news = loop.create_future()

    def note(link: socket.socket) -> None:
        loop.remove_writer(link)
        answered.append(link)
        _wake(news)

    try:
        while waiting or running:
            if waiting:
                address = waiting.pop()
                try:
                    link, is_connected = _begin(address, port)
                except OSError as error:  # no route, or refused by this very machine: known at once
                    failures.append(DialError(classify(error), address))
                    continue
                if is_connected:
                    return link, address
                running[link] = address
                loop.add_writer(link, note, link)
            left = ends_at - loop.time()
            if left <= 0:
                failures += [DialError(FailureKind.TIMEOUT, address) for address in running.values()]
                break
            timer = loop.call_later(min(left, HEAD_START_SECONDS) if waiting else left, _wake, news)
            try:
                await news
            finally:
                timer.cancel()
            news = loop.create_future()
            while answered:
                link = answered.pop(0)
                address = running.pop(link)
                number = link.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if number == 0:
                    return link, address
                link.close()
                failures.append(DialError(classify(OSError(number, "")), address))
    finally:
        for link in running:
            loop.remove_writer(link)
            link.close()
    raise min(failures, key=lambda failure: _MOST_TELLING[failure.kind], default=DialError(FailureKind.UNREACHABLE))


async def take_over(
    sock: socket.socket,
    protocol: asyncio.Protocol,
    context: ssl.SSLContext | None,
    name: str,
    known: KnownServer | None = None,
) -> None:
    """Put `protocol` on a connected socket, with TLS from the first byte when there is a context.

    `known`: the server, where its session is to be taken up.

    uvloop closes the descriptor by itself. When the peer hangs up before `create_connection` has returned, it does
    not tell the socket (0.22: `_attach_fileobj` after `_close`), which would close the same number once more, by
    then somebody else's. So the socket lets go of it here; elsewhere it is the loop's only handle, and stays.
    """
    loop = asyncio.get_running_loop()
    link = None if context is None or known is None else ResumingLink(known)
    tls = context if link is None else None
    try:
        below, _ = await loop.create_connection(
            lambda: link or protocol,
            sock=sock,
            ssl=tls,
            server_hostname=name if tls else None,
            ssl_handshake_timeout=HANDSHAKE_LIMIT_SECONDS if tls else None,
        )
    finally:
        if type(loop).__module__.partition(".")[0] == "uvloop":
            sock.detach()
    if link is not None:
        await link.start_tls(below)
        link.hand_to(protocol)
        protocol.connection_made(link)


async def start_tls(
    below: asyncio.Transport, protocol: asyncio.Protocol, context: ssl.SSLContext, name: str, known: KnownServer | None
) -> asyncio.Transport:
    """Put TLS between a transport in clear and its protocol. `known`: the server, where its session is taken up.

    Raises:
        OSError: the handshake failed.
    """
    if known is not None:
        link = ResumingLink(known)
        await link.start_tls(below)
        link.hand_to(protocol)
        return link
    link_of_loop = await asyncio.get_running_loop().start_tls(
        below, protocol, context, server_hostname=name, ssl_handshake_timeout=HANDSHAKE_LIMIT_SECONDS
    )
    assert link_of_loop is not None
    return link_of_loop


def _judge(addresses: Sequence[str], port: int, policy: Policy) -> tuple[list[str], list[DialError]]:
    """Return the addresses that may be dialled, the first one last, and a failure for each of the others."""
    allowed: list[str] = []
    refused: list[DialError] = []
    for address in interleave(addresses)[:ADDRESSES_TRIED]:
        reason = refusal(address, port, policy)
        if reason:
            refused.append(DialError(FailureKind.NOT_ALLOWED, address, reason))
        else:
            allowed.append(address)
    return allowed[::-1], refused


def _begin(address: str, port: int) -> tuple[socket.socket, bool]:
    """Start connecting. Returns the socket, and whether it is connected already.

    Raises:
        OSError: it cannot even be tried.
    """
    link = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    link.setblocking(False)
    number = link.connect_ex((address, port))
    if number in {0, errno.EINPROGRESS}:
        return link, number == 0
    link.close()
    # `OSError` makes of the number the class that fits: ConnectionRefusedError and so on.
    raise OSError(number, "")


def _wake(news: asyncio.Future[None]) -> None:
    if not news.done():
        news.set_result(None)
