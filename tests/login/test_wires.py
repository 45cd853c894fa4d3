"""Whatever bytes come, in whatever pieces, the two protocols neither raise nor grow."""

import asyncio
import contextlib
from collections.abc import Iterator

import pytest
from aiosmtplib.errors import SMTPException
from hypothesis import given, settings
from hypothesis import strategies as st

from app.login.exchange import Exchange
from app.login.failure import WireError
from app.login.imap_wire import LINE_LIMIT_BYTES, TALK_LIMIT_BYTES, ImapWire
from app.login.smtp_wire import SmtpWire


class Line(asyncio.Transport):
    """A transport that leads nowhere and keeps what was written."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.is_down = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written.append(bytes(data))

    def is_closing(self) -> bool:
        return self.is_down

    def close(self) -> None:
        self.is_down = True

    def abort(self) -> None:
        self.is_down = True


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


async def open_imap(greeting: bytes = b"* OK hi\r\n") -> tuple[ImapWire, Line]:
    wire, line = ImapWire(asyncio.get_running_loop()), Line()
    wire.connection_made(line)
    if greeting:
        wire.data_received(greeting)
    return wire, line


# Bytes that look like mail protocols now and then, so that the fuzzer gets past the first line.
WORDS = st.sampled_from(
    [
        *(b"* OK ", b"* BYE ", b"* PREAUTH ", b'* LIST (\\All) "/" x', b"* CAPABILITY IMAP4rev1", b"* NO [ALERT] x"),
        *(
            b"+ ",
            b"TAG OK",
            b"TAG NO [X] y",
            b"TAG BAD",
            b"\r\n",
            b"\n",
            b"\r",
            b"{3}\r\n",
            b"{99999999999}\r\n",
            b"{3+}",
        ),
        *(b"220 ", b"220-", b"250 ", b"334 ", b"535 5.7.8 ", b"-99 ", b"2_0 ", b"\0", b"\xff", b" "),
    ]
)
BYTES = st.lists(WORDS | st.binary(max_size=40), max_size=30).map(b"".join)


def cut(data: bytes, at: list[int]) -> list[bytes]:
    """Cut data into pieces."""
    places = sorted({place % (len(data) + 1) for place in at})
    return [data[start:end] for start, end in zip([0, *places], [*places, len(data)], strict=True)]


@settings(max_examples=300, deadline=None)
@given(BYTES, st.lists(st.integers(0, 2000), max_size=6), st.booleans())
def test_imap_wire_bears_anything(
    loop: asyncio.AbstractEventLoop, data: bytes, at: list[int], is_greeted: bool
) -> None:
    async def feed() -> None:
        wire, line = await open_imap(b"* OK hi\r\n" if is_greeted else b"")
        commands = [Exchange("AUTHENTICATE", wire.new_tag(), "PLAIN", answers=[b"x"])]
        commands += [Exchange("LOGOUT", wire.new_tag())]
        wire.send_all(*commands)
        tagged = data.replace(b"TAG", commands[0].tag.encode())
        for piece in cut(tagged, at):
            wire.data_received(piece)
        wire.connection_lost(None)
        assert wire.greeting.done()
        for command in commands:
            try:
                await asyncio.wait_for(command.wait(), 1)
            except WireError:
                assert line.is_down

    loop.run_until_complete(feed())


@settings(max_examples=300, deadline=None)
@given(BYTES, st.lists(st.integers(0, 2000), max_size=6))
def test_how_the_bytes_are_cut_makes_no_difference(loop: asyncio.AbstractEventLoop, data: bytes, at: list[int]) -> None:
    async def feed(pieces: list[bytes]) -> tuple[object, ...]:
        wire, line = await open_imap()
        command = Exchange("LOGIN", "TAG", '"a"', '"b"')
        wire.send_all(command)
        for piece in pieces:
            wire.data_received(piece)
        return command.ending, command.challenges, wire.notices, wire.offers, wire.has_all_folder, line.is_down

    whole = loop.run_until_complete(feed([data]))
    assert loop.run_until_complete(feed(cut(data, at))) == whole


@settings(max_examples=300, deadline=None)
@given(BYTES, st.lists(st.integers(0, 2000), max_size=6))
def test_smtp_wire_bears_anything(loop: asyncio.AbstractEventLoop, data: bytes, at: list[int]) -> None:
    async def feed() -> None:
        wire = SmtpWire(asyncio.get_running_loop())
        wire.connection_made(Line())
        for piece in cut(data, at):
            wire.data_received(piece)
        wire.connection_lost(None)
        with contextlib.suppress(SMTPException, WireError):
            await asyncio.wait_for(wire.read_response(), 1)

    loop.run_until_complete(feed())


async def test_line_without_end_is_cut() -> None:
    wire, line = await open_imap()
    for _ in range(LINE_LIMIT_BYTES // 1000 + 2):
        wire.data_received(b"x" * 1000)
    assert line.is_down


async def test_lines_without_end_are_cut() -> None:
    wire, line = await open_imap()
    for _ in range(TALK_LIMIT_BYTES // 10_000 + 2):
        wire.data_received(b"* X xxxx\r\n" * 1000)
    assert line.is_down
    assert len(wire.notices) <= 4


async def test_thousand_lines_in_one_packet_are_read() -> None:
    wire, line = await open_imap()
    command = Exchange("LIST", wire.new_tag(), '""', "*")
    wire.send_all(command)
    wire.data_received(b'* LIST () "/" x\r\n' * 3000 + command.tag.encode() + b" OK\r\n")
    await command.wait()
    assert command.is_ok
    assert not line.is_down


async def test_commands_in_one_go_may_end_in_any_order() -> None:
    wire, line = await open_imap()
    folders, inbox = Exchange("LIST", "K7", '""', "*"), Exchange("EXAMINE", "K8", "INBOX")
    wire.send_all(folders, inbox)
    wire.data_received(b"K8 NO closed\r\nK7 OK listed\r\n")
    await asyncio.gather(folders.wait(), inbox.wait())
    assert (folders.is_ok, inbox.is_ok, line.is_down) == (True, False, False)
    wire.data_received(b"K8 OK\r\n")
    assert line.is_down


@pytest.mark.parametrize("bad", ["\r", "\n", "\0"])
async def test_line_breaks_do_not_get_into_a_command(bad: str) -> None:
    with pytest.raises(ValueError, match="not allowed"):
        Exchange("LOGIN", "A1", f"user{bad}A2 DELETE INBOX")
