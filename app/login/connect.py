"""I/O: a TCP connection to one of a host's addresses, by Happy Eyeballs (RFC 8305).

Addresses of the two families take turns, IPv6 first; each has 250 ms before the next is tried beside it, and
the next begins at once when one fails. `egress` judges every address right before it is dialled.
"""

import asyncio
import socket
from collections.abc import Sequence
from typing import Final

from app.egress import Policy, refusal
from app.login.failure import DialError, classify
from app.model import FailureKind

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
        )
    )
}


def interleave(addresses: Sequence[str]) -> list[str]:
    """Order addresses for dialling: IPv6 and IPv4 in turn, IPv6 first, each family in its own order, no doubles."""
    unique = list(dict.fromkeys(addresses))
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
    refused = DialError(FailureKind.NOT_ALLOWED)
    allowed = []
    for address in interleave(addresses)[:ADDRESSES_TRIED]:
        reason = refusal(address, port, policy)
        if reason:
            refused = DialError(FailureKind.NOT_ALLOWED, address, reason)
        else:
            allowed.append(address)
    if not allowed:
        raise refused
    if len(allowed) == 1:
        # The usual case needs no race, so no task.
        try:
            async with asyncio.timeout(timeout_seconds):
                return await _connect(allowed[0], port), allowed[0]
        except OSError as error:
            raise DialError(classify(error), allowed[0]) from error
    return await _race(allowed, port, timeout_seconds)


async def _race(addresses: list[str], port: int, timeout_seconds: float) -> tuple[socket.socket, str]:
    ends_at = asyncio.get_running_loop().time() + timeout_seconds
    waiting = list(reversed(addresses))
    running: dict[asyncio.Task[socket.socket], str] = {}
    failures: list[DialError] = []
    try:
        while waiting or running:
            left = ends_at - asyncio.get_running_loop().time()
            if left <= 0:
                failures += [DialError(FailureKind.TIMEOUT, address) for address in running.values()]
                break
            if waiting:
                address = waiting.pop()
                running[asyncio.create_task(_connect(address, port))] = address
            patience = min(left, HEAD_START_SECONDS) if waiting else left
            done, _ = await asyncio.wait(running, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                error = task.exception()
                if error is None:
                    return task.result(), running.pop(task)
                failures.append(DialError(classify(error), running.pop(task)))
    finally:
        await _drop(running)
    raise min(failures, key=lambda failure: _MOST_TELLING[failure.kind])


async def _drop(running: dict[asyncio.Task[socket.socket], str]) -> None:
    """Cancel what still dials, and close what connected too late."""
    late = [task for task in running if task.done()]
    pending = [task for task in running if not task.done()]
    for task in pending:
        task.cancel()
    if pending:
        await asyncio.wait(pending)
    for task in late + pending:
        if not task.cancelled() and task.exception() is None:
            task.result().close()


async def _connect(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    link = socket.socket(family, socket.SOCK_STREAM)
    try:
        link.setblocking(False)
        await asyncio.get_running_loop().sock_connect(link, (address, port))
    except BaseException:
        link.close()
        raise
    return link
