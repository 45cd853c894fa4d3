"""I/O: steps of a script that take more than a line: dripping, flooding, and handshakes that go wrong.

asyncio's own servers keep their TLS alerts to themselves, so `shake` does the handshake itself.
"""

import asyncio
import contextlib
import itertools
import ssl

from tests.fakes.scripted import Act, Peer

ALERT_HEAD = b"\x15\x03\x03\x00\x02\x02"
"""A fatal alert (RFC 8446, section 6), up to its number."""


def drip(data: bytes, *, seconds: float = 0.15, and_on: bytes = b"x") -> Act:
    """Send `data` a byte at a time, then `and_on` for ever."""

    async def act(peer: Peer) -> None:
        for number in itertools.chain(data, itertools.cycle(and_on)):
            await peer.send(bytes([number]))
            await asyncio.sleep(seconds)

    return act


def crumble(data: bytes) -> Act:
    """Send `data` in packets of one byte, as fast as they go."""

    async def act(peer: Peer) -> None:
        for number in data.replace(b"TAG", peer.tag):
            await peer.send(bytes([number]))
            await asyncio.sleep(0)

    return act


def flood(data: bytes) -> Act:
    """Send `data` again and again, as fast as it is taken, until the caller is gone."""

    async def act(peer: Peer) -> None:
        block = data * max(1, 65536 // len(data))
        while True:
            await _send_raw(peer, block)
            await asyncio.sleep(0.001)  # the loop is for others too

    return act


async def echo(peer: Peer) -> None:
    """Send back every line as it came."""
    while line := await peer.reader.readline():
        await peer.send(line)


async def insist(peer: Peer) -> None:
    """Answer every line with one more challenge."""
    while await peer.reader.readline():
        await peer.send(b"+ b25jZSBtb3Jl\r\n" if peer.tag != b"AUTH" else b"334 b25jZSBtb3Jl\r\n")


def answer_last(data: bytes) -> Act:
    """Read one more line, which bears no tag, and answer the command before it."""

    async def act(peer: Peer) -> None:
        peer.lines.append(await peer.reader.readuntil(b"\n"))
        await peer.send(data)

    return act


def answer_whether(words: bytes, yes: bytes, no: bytes) -> Act:
    """Read one more line, which bears no tag, and answer the command before it by whether that line is `words`."""

    async def act(peer: Peer) -> None:
        line = await peer.reader.readuntil(b"\n")
        peer.lines.append(line)
        await peer.send(yes if line.strip() == words else no)

    return act


async def pause(peer: Peer) -> None:
    """Wait, so that what follows goes out in a packet of its own."""
    await asyncio.sleep(0.05)


def shake(context: ssl.SSLContext, *, most: int | None = None) -> Act:
    """Shake hands and tell the caller what went wrong. `most`: bytes of the answer that are sent at all."""

    async def act(peer: Peer) -> None:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_side=True)
        is_open = True
        while is_open:
            try:
                tls.do_handshake()
                is_open = False
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLError:
                await _send_raw(peer, outgoing.read())
                while await peer.reader.read(65536):
                    pass  # hanging up on words unread would reset the connection, and the alert with it
                raise ConnectionAbortedError from None
            await _send_raw(peer, outgoing.read()[:most])
            if most is not None:
                return
            if is_open:
                data = await peer.reader.read(65536)
                if not data:
                    raise ConnectionResetError
                incoming.write(data)

    return act


async def _send_raw(peer: Peer, data: bytes) -> None:
    peer.writer.write(data)
    await peer.writer.drain()


def alert(number: int) -> bytes:
    """Return a fatal TLS alert."""
    return ALERT_HEAD + bytes([number])


async def answer_in_reverse(peer: Peer) -> None:
    """Take commands that come in one go from the last to the first, as a server may, and hang up at LOGOUT."""
    asked: list[bytes] = []
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.1):
            while line := await peer.reader.readline():
                asked.append(line)
    for line in reversed(asked):
        if line.upper().rstrip().endswith(b"LOGOUT"):
            await peer.send(b"* BYE\r\n")
            return
        await peer.send(line.split(b" ", maxsplit=1)[0] + b" OK done\r\n")
