"""Byte-level fuzzing of both reply parsers: nothing makes them raise, hang, grow, leak a secret or speak unasked."""

import asyncio
import base64
import re
from collections.abc import Iterator, Sequence

import pytest
from aiosmtplib.errors import SMTPException, SMTPResponseException
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app.login.exchange import Exchange
from app.login.failure import WireError, translate
from app.login.imap_wire import CHALLENGES_ANSWERED, LINE_LIMIT_BYTES, NOTICES_KEPT, ImapWire
from app.login.reply import parse_imap_reply, parse_smtp_reply
from app.login.smtp_wire import REPLY_LIMIT_BYTES, SmtpWire
from app.model import Stage
from app.text import REPLY_LIMIT_BYTES as TEXT_LIMIT_BYTES
from app.text import list_needles
from tests.login.test_wires import Line, cut

USERNAME, PASSWORD = "info@example.com", "correct-horse-7"
NEEDLES = list_needles(USERNAME, PASSWORD)
BLOB = base64.b64encode(f"\0{USERNAME}\0{PASSWORD}".encode())
CONTROLS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e]")

SEEDS = (
    b"220-mail.example.com ESMTP\r\n220 ready\r\n",
    b"250-mail.example.com\r\n250-SIZE 35882577\r\n250-AUTH PLAIN LOGIN\r\n250 8BITMIME\r\n",
    b"334 VXNlcm5hbWU6\r\n235 2.7.0 Accepted\r\n",
    b"535-5.7.8 Username and Password not accepted\r\n535 5.7.8 " + PASSWORD.encode() + b"\r\n",
    b"421 4.7.0 " + BLOB + b"\r\n",
    b"* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] ready\r\n",
    b"* CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED\r\nTAG OK done\r\n",
    b"+ \r\n+ eyJzdGF0dXMiOiI0MDAifQ==\r\nTAG NO [AUTHENTICATIONFAILED] " + BLOB + b"\r\n",
    b"* BYE [UNAVAILABLE] " + PASSWORD.encode() + b"\r\n",
    b'* LIST (\\HasNoChildren \\All) "/" {8}\r\nAll Mail\r\nTAG OK\r\nTAG2 OK [READ-ONLY]\r\n',
)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """Draw talk as servers have it, with bytes exchanged, cut out, doubled and put in anywhere."""
    data = bytearray(b"".join(draw(st.lists(st.sampled_from(SEEDS), max_size=6))))
    for _ in range(draw(st.integers(0, 12))):
        place = draw(st.integers(0, len(data)))
        match draw(st.sampled_from(["change", "cut", "double", "insert"])):
            case "change":
                data[place : place + 1] = draw(st.binary(min_size=1, max_size=1))
            case "cut":
                del data[place : place + draw(st.integers(1, 20))]
            case "double":
                data[place:place] = data[place : place + draw(st.integers(1, 40))] * draw(st.integers(1, 3))
            case _:
                data[place:place] = draw(st.sampled_from([b"\r", b"\n", b"\r\n", b"\0", b"{9}\r\n", b" ", b"-"]))
    return bytes(data)


TALK = damaged() | st.binary(max_size=400)
CUTS = st.lists(st.integers(0, 4000), max_size=8)


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


async def feed_smtp(pieces: Sequence[bytes]) -> tuple[int, str] | str:
    """Be greeted, ask, and return what the pieces come to as an answer."""
    wire, line = SmtpWire(asyncio.get_running_loop()), Line()
    wire.connection_made(line)
    wire.data_received(b"220 hi\r\n")
    assert (await wire.read_response()).code == 220
    asking = asyncio.ensure_future(wire.ask(b"EHLO", b"me"))
    await asyncio.sleep(0)
    for piece in pieces:
        wire.data_received(piece)
        assert len(wire._buffer) <= REPLY_LIMIT_BYTES
    wire.connection_lost(None)
    try:
        reply = await asking
        said: tuple[int, str] | str = (reply.code, reply.message)
    except (SMTPException, WireError) as error:
        said = repr(translate(error, Stage.GREET, NEEDLES))
        assert PASSWORD not in said
    assert line.written == [b"EHLO me\r\n"]
    return said


@settings(max_examples=250, deadline=None)
@given(TALK, CUTS)
@example(b"250 ok\r\n25-", [8])
@example(b"250-\r\n250 AUTH PLAIN\r\n", [])
def test_smtp_replies_are_read_alike_however_they_are_cut(
    loop: asyncio.AbstractEventLoop, data: bytes, at: list[int]
) -> None:
    pieces = cut(data, at)
    is_tls = data[:1] in {b"\x15", b"\x16"}  # whether these two bytes come together is the network's choice
    whole = loop.run_until_complete(feed_smtp([data]))
    assert is_tls or loop.run_until_complete(feed_smtp(pieces)) == whole
    assert is_tls or loop.run_until_complete(feed_smtp([bytes([byte]) for byte in data])) == whole


async def feed_imap(pieces: Sequence[bytes]) -> tuple[ImapWire, Line, list[Exchange]]:
    wire, line = ImapWire(asyncio.get_running_loop()), Line()
    wire.connection_made(line)
    wire.data_received(b"* OK hi\r\n")
    login = Exchange("AUTHENTICATE", "TAG", "PLAIN", answers=[BLOB])
    commands = [login, Exchange("LIST", "TAG2", '""', '"*"')]
    wire.send_all(*commands)
    for piece in pieces:
        wire.data_received(piece)
        assert len(wire._buffer) <= LINE_LIMIT_BYTES + len(piece)
        assert len(wire._head) <= LINE_LIMIT_BYTES
    wire.connection_lost(None)
    for command in commands:
        try:
            await asyncio.wait_for(command.wait(), 1)
        except WireError as error:
            failure = translate(error, Stage.AUTH, NEEDLES)
            assert PASSWORD not in repr(failure)
            assert BLOB.decode() not in repr(failure)
    return wire, line, commands


@settings(max_examples=250, deadline=None)
@given(TALK, CUTS)
def test_imap_says_its_secret_once_and_keeps_little(
    loop: asyncio.AbstractEventLoop, data: bytes, at: list[int]
) -> None:
    wire, line, commands = loop.run_until_complete(feed_imap(cut(data, at)))
    written = b"".join(line.written)
    assert written.count(BLOB) <= 1
    assert written.count(b"AUTHENTICATE") == 1
    assert len(line.written) <= 1 + CHALLENGES_ANSWERED
    assert len(wire.notices) <= NOTICES_KEPT
    assert len(commands[0].challenges) <= CHALLENGES_ANSWERED + 1
    assert all(command.ending or command.error for command in commands)


@settings(max_examples=250, deadline=None)
@given(TALK, CUTS)
def test_imap_is_read_alike_however_it_is_cut(loop: asyncio.AbstractEventLoop, data: bytes, at: list[int]) -> None:
    def sum_up(pieces: Sequence[bytes]) -> tuple[object, ...]:
        wire, line, commands = loop.run_until_complete(feed_imap(pieces))
        endings = [(command.ending, repr(command.error)) for command in commands]
        return endings, wire.notices, wire.offers, wire.has_all_folder, line.written

    is_tls = b"\x15\x03" in data or b"\x16\x03" in data
    assert is_tls or sum_up(cut(data, at)) == sum_up([data])


@settings(max_examples=250, deadline=None)
@given(TALK, st.lists(TALK, max_size=4), st.integers(-99, 999))
def test_replies_come_out_clean_whatever_is_in_them(line: bytes, notices: list[bytes], code: int) -> None:
    message = line.decode("utf-8", "surrogateescape")
    replies = [parse_imap_reply(line, notices, NEEDLES), parse_smtp_reply(code, message, NEEDLES)]
    error = SMTPResponseException(code, message)
    failure = translate(error, Stage.AUTH, NEEDLES)
    assert failure.reply is not None
    for reply in (*replies, failure.reply):
        words = "\n".join([reply.text, reply.status, reply.response_code, reply.enhanced])
        assert not CONTROLS.search(words)
        assert not any(needle in words for needle in NEEDLES)
        assert len(reply.text.encode()) <= TEXT_LIMIT_BYTES + 5 * 500
