r"""I/O: aioimaplib's protocol with what a checker of strangers' servers needs and the library lacks.

What is kept of the library: its commands (an argument that holds CR, LF or NUL is refused there), tags and states.
What is ours: reading line by line with limits, so that no server fills the memory or the stack; commands in a
row without waiting between them (RFC 9051, section 5.5); continuations answered; STARTTLS, and nothing
accepted from before the handshake; every pending command fails when the connection does.

    * OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] ready.
    K0 OK [CAPABILITY IMAP4rev1 ...] Logged in
"""

import asyncio
import re
import socket
import ssl
from collections import deque
from typing import Final, cast

from aioimaplib import aioimaplib

from app.checked import FailureKind
from app.login.connect import start_tls, take_over
from app.login.exchange import Exchange
from app.login.failure import WireError
from app.login.offers import read_capabilities
from app.login.pin import KnownServer
from app.login.tls import TLS_RECORDS

LINE_LIMIT_BYTES = 16 * 1024
LITERAL_LIMIT_BYTES = 64 * 1024
TALK_LIMIT_BYTES = 256 * 1024
"""Until the login: more than any server has to say."""
FOLDERS_LIMIT_BYTES = 8 * 1024 * 1024
"""After the login: a LIST of 50,000 folders."""
CHALLENGES_ANSWERED = 4
BYE_GRACE_SECONDS = 0.5
"""Who says BYE hangs up at once; one who stays all the same is left after this."""
CHALLENGE_LIMIT_BYTES = 2048
NOTICES_KEPT = 4
NOTICE_LIMIT_BYTES = 1024

_LITERAL: Final = re.compile(rb"\{(\d{1,20})\+?\}$")
_NOTICE: Final = re.compile(rb"(?:NO|BAD|BYE)\b|OK \[ALERT\]", re.IGNORECASE)


class ImapWire(aioimaplib.IMAP4ClientProtocol):
    """One IMAP connection over a socket that is already connected."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self.greeting: asyncio.Future[bytes] = loop.create_future()
        self.link: asyncio.Transport | None = None
        self.notices: list[bytes] = []
        self.has_all_folder = False
        self.offers: frozenset[str] = frozenset()
        self.offered = b""  # the same as the server wrote it
        self.limit_bytes = TALK_LIMIT_BYTES
        self._loop: asyncio.AbstractEventLoop = loop
        self._sent: deque[Exchange] = deque()
        self._buffer = bytearray()
        self._received_bytes = 0
        self._skip_bytes = 0
        self._head = b""
        self._gate = b""
        self._is_gated = False
        self._lost: WireError | OSError | None = None
        self._bye = b""
        self._bye_timer: asyncio.TimerHandle | None = None

    async def open(
        self, sock: socket.socket, context: ssl.SSLContext | None, name: str, known: KnownServer | None = None
    ) -> None:
        """Take over `sock`, with TLS from the first byte when there is a context."""
        await take_over(sock, self, context, name, known)

    def send_all(self, *commands: Exchange) -> None:
        """Send commands in one go; each is then waited for on its own."""
        self._sent.extend(commands)
        self.write(b"".join(f"{command}\r\n".encode() for command in commands))

    async def run(self, command: Exchange) -> None:
        """Send one command and wait for its ending, whatever that says."""
        self.send_all(command)
        await command.wait()

    async def starttls(self, context: ssl.SSLContext, name: str, known: KnownServer | None) -> bytes:
        """Ask for TLS and shake hands. Returns the refusal, without its tag; empty when TLS stands.

        Raises:
            WireError: something was said between the consent and the handshake (CVE-2021-38370 and its like).
        """
        command = Exchange("STARTTLS", self.new_tag())
        self._gate = command.tag.encode() + b" "
        await self.run(command)
        if not command.is_ok:
            self._gate, self._is_gated = b"", False
            return command.ending or b"BAD"
        if self._lost is not None or self.link is None:
            raise self._lost or WireError(FailureKind.CLOSED)
        self.link = await start_tls(self.link, self, context, name, known)
        self._gate, self._is_gated = b"", False
        self.offers, self.offered = frozenset(), b""
        self.notices.clear()
        self._forget_bye()
        return b""

    def write(self, data: bytes) -> None:
        """Send bytes.

        Raises:
            WireError, OSError: the connection is gone, and why.
        """
        if self._lost is not None:
            raise self._lost
        if self.link is None or self.link.is_closing():
            raise WireError(FailureKind.REPLY, line=self._bye) if self._bye else WireError(FailureKind.CLOSED)
        self.link.write(data)

    def abort(self) -> None:
        """Hang up."""
        if self.link is not None:
            self.link.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.link = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._bye:
            self._fail_with_bye()
        else:
            self._fail(exc if isinstance(exc, OSError) else WireError(FailureKind.CLOSED))

    def data_received(self, d: bytes) -> None:
        if self._lost is not None:
            return
        try:
            self._received_bytes += len(d)
            if self._is_gated:
                raise WireError(FailureKind.PROTOCOL, "data between STARTTLS and the handshake")
            if self._received_bytes > self.limit_bytes:
                raise WireError(FailureKind.PROTOCOL, "too much data")
            self._buffer += d
            self._look_at_start()
            self._read_buffer()
            self._look_at_start()
        except WireError as error:
            self._fail(error)

    def _look_at_start(self) -> None:
        if not self._head and not self._skip_bytes:
            self._refuse_tls(self._buffer)

    def _refuse_tls(self, start: bytes | bytearray) -> None:
        """A line that begins as a TLS record does, where none was asked for, is none of IMAP's."""
        if bytes(start[:2]) in TLS_RECORDS and not self._is_encrypted():
            raise WireError(FailureKind.TLS_UNASKED)

    def _is_encrypted(self) -> bool:
        return self.link is not None and self.link.get_extra_info("sslcontext") is not None

    def _read_buffer(self) -> None:
        start, size = 0, len(self._buffer)
        while start < size:
            if self._skip_bytes:
                skipped = min(self._skip_bytes, size - start)
                self._skip_bytes -= skipped
                start += skipped
                continue
            end = self._buffer.find(b"\n", start)
            if (end if end >= 0 else size) - start > LINE_LIMIT_BYTES:
                raise WireError(FailureKind.PROTOCOL, "line too long")
            if end < 0:
                break
            line = bytes(self._buffer[start:end]).rstrip(b"\r")
            start = end + 1
            self._read_piece(line, is_last=start == size)
        del self._buffer[:start]

    def _read_piece(self, piece: bytes, *, is_last: bool) -> None:
        """Take a line, or a part of one: a literal is left out, and what follows it belongs to the same line."""
        if not self._head:
            self._refuse_tls(piece)
        line = self._head + piece
        self._head = b""
        found = _LITERAL.search(piece) if piece.endswith(b"}") else None
        if found:
            self._skip_bytes = int(found[1])
            if self._skip_bytes > LITERAL_LIMIT_BYTES:
                raise WireError(FailureKind.PROTOCOL, "literal too large")
            if len(line) > LINE_LIMIT_BYTES:
                raise WireError(FailureKind.PROTOCOL, "line too long")
            self._head = line
            return
        if self._gate and line.startswith(self._gate):
            self._is_gated = True
            if not is_last:
                raise WireError(FailureKind.PROTOCOL, "data between STARTTLS and the handshake")
        self._read_line(line)

    def _read_line(self, line: bytes) -> None:
        if not self.greeting.done():
            self.greeting.set_result(line)
        elif line.startswith(b"* "):
            self._read_untagged(line[2:])
        elif line.startswith(b"+"):
            self._answer(line[1:].strip())
        elif line:
            tag, _, ending = line.partition(b" ")
            # Commands sent in one go may end in any order (RFC 9051, section 5.5).
            command = next((sent for sent in self._sent if sent.tag.encode() == tag), None)
            if command is None:
                raise WireError(FailureKind.PROTOCOL, "an answer to something that was not asked")
            if ending[:3].upper().rstrip() not in {b"OK", b"NO", b"BAD"}:
                raise WireError(FailureKind.PROTOCOL, "neither OK nor NO nor BAD")
            self._sent.remove(command)
            command.finish(ending)

    def _read_untagged(self, line: bytes) -> None:
        if line[:5].upper() == b"LIST ":
            flags = line[5:].partition(b")")[0].lower().lstrip(b"(").split()
            self.has_all_folder = self.has_all_folder or b"\\all" in flags
        elif line[:11].upper() == b"CAPABILITY ":
            self.learn_offers(line[11:])
        elif _NOTICE.match(line):
            if len(self.notices) < NOTICES_KEPT:
                self.notices.append(line[:NOTICE_LIMIT_BYTES])
            is_asked_for = bool(self._sent) and self._sent[0].name == "LOGOUT"
            if line[:3].upper() == b"BYE" and not is_asked_for and not self._bye:
                self._bye = line[:NOTICE_LIMIT_BYTES]
                self._bye_timer = self._loop.call_later(BYE_GRACE_SECONDS, self._fail_with_bye)

    def learn_offers(self, words: bytes) -> None:
        """Take in a capability list, as it stands after the word CAPABILITY."""
        self.offers, self.offered = read_capabilities(words), words

    def _answer(self, challenge: bytes) -> None:
        if not self._sent or self._sent[0].name not in {"AUTHENTICATE", "LOGIN"}:
            return
        command = self._sent[0]
        if len(command.challenges) >= CHALLENGES_ANSWERED:
            raise WireError(FailureKind.PROTOCOL, "too many challenges")
        self.write(command.answer(challenge[:CHALLENGE_LIMIT_BYTES]) + b"\r\n")

    def _fail_with_bye(self) -> None:
        self._fail(WireError(FailureKind.REPLY, line=self._bye))

    def _forget_bye(self) -> None:
        self._bye = b""
        if self._bye_timer is not None:
            self._bye_timer.cancel()
            self._bye_timer = None

    def _fail(self, error: WireError | OSError) -> None:
        self._forget_bye()
        self._lost = self._lost or error
        if not self.greeting.done():
            self.greeting.set_exception(self._lost)
            self.greeting.exception()  # whoever waits still gets it; nobody has to
        for command in self._sent:
            command.fail(self._lost)
        self._sent.clear()
        self.abort()
