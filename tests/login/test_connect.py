"""Addresses are raced as RFC 8305 says, and never dialled before the guard has seen them."""

import asyncio
import contextlib
import ipaddress
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvloop

from app.checked import FailureKind
from app.egress import Policy
from app.login import connect
from app.login.connect import dial, interleave, take_over
from app.login.failure import DialError

LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))


def open_policy(*ports: int) -> Policy:
    return Policy(LOOPBACK, frozenset(ports))


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


@pytest.fixture
def deaf() -> Iterator[socket.socket]:
    """A port whose queue is full: a SYN to it is never answered."""
    with socket.socket() as server:
        server.bind(("127.0.0.2", 0))
        server.listen(0)
        fillers = []
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(server.getsockname())
            fillers.append(filler)
        yield server
        for filler in fillers:
            filler.close()


@pytest.mark.parametrize(
    ("addresses", "order"),
    [
        ([], []),
        (["1.1.1.1"], ["1.1.1.1"]),
        (["1.1.1.1", "2.2.2.2", "::a", "::b", "::c"], ["::a", "1.1.1.1", "::b", "2.2.2.2", "::c"]),
        (["1.1.1.1", "2.2.2.2", "3.3.3.3", "::a"], ["::a", "1.1.1.1", "2.2.2.2", "3.3.3.3"]),
        (["::a", "::a", "1.1.1.1"], ["::a", "1.1.1.1"]),
    ],
)
def test_families_take_turns(addresses: list[str], order: list[str]) -> None:
    assert interleave(addresses) == order


async def test_first_address_that_answers_is_taken(listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    link, address = await dial(["::1", "127.0.0.1"], port, open_policy(port), 5)
    with link:
        assert address == "127.0.0.1"
        assert link.getpeername() == ("127.0.0.1", port)
        assert not link.getblocking()


async def test_silent_address_delays_the_next_by_a_quarter_second(deaf: socket.socket) -> None:
    port = deaf.getsockname()[1]
    with socket.create_server(("127.0.0.1", port)):
        began = time.monotonic()
        link, address = await dial(["127.0.0.2", "127.0.0.1"], port, open_policy(port), 5)
        link.close()
    assert address == "127.0.0.1"
    assert 0.2 <= time.monotonic() - began <= 1.5


async def test_silence_everywhere_ends_at_the_deadline(deaf: socket.socket) -> None:
    port = deaf.getsockname()[1]
    began = time.monotonic()
    with pytest.raises(DialError) as caught:
        await dial(["127.0.0.2"], port, open_policy(port), 0.3)
    assert caught.value.kind is FailureKind.TIMEOUT
    assert caught.value.address == "127.0.0.2"
    assert time.monotonic() - began <= 1.5


async def test_refusal_tells_more_than_silence(deaf: socket.socket) -> None:
    port = deaf.getsockname()[1]
    with pytest.raises(DialError) as caught:
        await dial(["127.0.0.2", "127.0.0.1"], port, open_policy(port), 0.5)
    assert (caught.value.kind, caught.value.address) == (FailureKind.REFUSED, "127.0.0.1")


async def test_guard_keeps_every_closed_address_from_being_dialled(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[tuple[str, int]] = []
    monkeypatch.setattr(connect, "_begin", lambda *where: begun.append(where))
    with pytest.raises(DialError) as caught:
        await dial(["10.0.0.1", "169.254.169.254", "::ffff:127.0.0.1", "127.0.0.1"], 993, Policy(), 1)
    assert caught.value.kind is FailureKind.NOT_ALLOWED
    assert caught.value.detail
    assert begun == []


async def test_allowed_address_is_taken_beside_a_closed_one(listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    link, address = await dial(["10.0.0.1", "127.0.0.1"], port, open_policy(port), 5)
    link.close()
    assert address == "127.0.0.1"


async def test_no_address_is_unreachable() -> None:
    with pytest.raises(DialError) as caught:
        await dial([], 993, Policy(), 1)
    assert caught.value.kind is FailureKind.UNREACHABLE


async def test_running_out_of_files_is_our_own_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_more(address: str, port: int) -> tuple[socket.socket, bool]:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(connect, "_begin", no_more)
    with pytest.raises(DialError) as caught:
        await dial(["127.0.0.1"], 993, open_policy(993), 1)
    assert caught.value.kind is FailureKind.OURS


async def test_cancelled_dial_leaves_no_open_file(deaf: socket.socket) -> None:
    port = deaf.getsockname()[1]
    before = count_open_files()
    task = asyncio.create_task(dial(["127.0.0.2", "127.0.0.3"], port, open_policy(port), 30))
    await asyncio.sleep(0.4)
    task.cancel()
    with pytest.raises((asyncio.CancelledError, DialError)):
        await task
    assert count_open_files() <= before


def count_open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_descriptor_that_uvloop_closes_is_closed_once() -> None:
    """A peer that resets at once made the socket close its number again, by then another connection's."""

    async def connect_many() -> list[int]:
        def hang_up(link: socket.socket) -> None:
            link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            link.close()

        numbers = []
        with socket.create_server(("127.0.0.1", 0)) as listener:
            for _ in range(20):
                sock = socket.create_connection(listener.getsockname())
                hang_up(listener.accept()[0])
                with contextlib.suppress(OSError):
                    await take_over(sock, asyncio.Protocol(), None, "")
                numbers.append(sock.fileno())
                await asyncio.sleep(0)
        return numbers

    assert set(uvloop.run(connect_many())) == {-1}
