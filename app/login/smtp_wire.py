"""I/O: aiosmtplib's protocol with what a checker of strangers' servers needs and the library lacks.

What is kept of the library: its commands (an argument that holds a control character is refused there), the waiting
for a reply. What is ours: replies are read line by line, each byte once, however they are cut into packets
(the library begins anew with every packet: 32 KB in small ones would cost seconds); what was said before it was
asked for is forgotten; why the connection was cut off is known; and STARTTLS ends the check when something was slipped
in before the handshake (the library drops it, and on Python 3.11 its `wait_for` may swallow a deadline).

    250-mail.example.com
    250 AUTH PLAIN LOGIN
"""

import asyncio
import ssl
from typing import Final, cast

from aiosmtplib.errors import SMTPResponseException, SMTPServerDisconnected
from aiosmtplib.protocol import SMTPProtocol
from aiosmtplib.response import SMTPResponse

from app.checked import FailureKind
from app.login.connect import start_tls
from app.login.failure import WireError
from app.login.pin import KnownServer
from app.login.tls import TLS_RECORDS

LINE_LIMIT_BYTES: Final = 8 * 1024
REPLY_LIMIT_BYTES: Final = 32 * 1024
"""More than any server has to say: the longest EHLO known is a tenth of it."""


class SmtpWire(SMTPProtocol):
    """One SMTP connection."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self._lost_to: Exception | None = None
        self._is_gated = False
        self._is_slipped_in = False
        self._lines: list[bytes] = []
        self._received_bytes = 0

    @property
    def link(self) -> asyncio.Transport | None:
        return cast(asyncio.Transport | None, self.transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost_to = exc
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        waiter = self._response_waiter
        if waiter is None or waiter.done() or not self._response_pending:
            return  # nobody asked
        try:
            if not self._over_ssl and data[:2] in TLS_RECORDS and not self._received_bytes:
                raise WireError(FailureKind.TLS_UNASKED)
            self._received_bytes += len(data)
            if self._received_bytes > REPLY_LIMIT_BYTES:
                raise SMTPResponseException(-1, "Response too long")
            self._buffer += data
            reply = self._read_buffer()
        except (SMTPResponseException, WireError) as error:
            self._forget()
            self._set_response_exception(waiter, error)
        else:
            if reply is not None:
                self._is_slipped_in = self._is_slipped_in or (self._is_gated and bool(self._buffer))
                self._forget()
                waiter.set_result(reply)

    def _read_buffer(self) -> SMTPResponse | None:
        """Take whole lines off the buffer. Returns the reply that the last one completes; None: there is more to come.

        Raises:
            SMTPResponseException: a line that is none of a reply, or too long.
        """
        start = 0
        while (end := self._buffer.find(b"\n", start)) >= 0:
            line = bytes(self._buffer[start:end])
            start = end + 1
            if self._lines and not line.strip():
                continue  # a banner that somebody wrote with gaps
            if not line[:3].isdigit():
                raise SMTPResponseException(-1, line.decode("utf-8", "replace"))
            self._lines.append(line[4:].strip())
            if len(line) > LINE_LIMIT_BYTES:
                raise SMTPResponseException(-1, "Response too long")
            if line[3:4] != b"-":
                del self._buffer[:start]
                return SMTPResponse(int(line[:3]), b"\n".join(self._lines).decode("utf-8", "surrogateescape"))
        del self._buffer[:start]
        if len(self._buffer) > LINE_LIMIT_BYTES:
            raise SMTPResponseException(-1, "Response too long")
        return None

    def _forget(self) -> None:
        """Begin anew: what came so far was the answer to something else, or is answered."""
        del self._buffer[:]
        self._lines.clear()
        self._received_bytes = 0

    async def encrypt(self, context: ssl.SSLContext, name: str, known: KnownServer | None) -> None:
        """Ask for TLS and shake hands.

        Raises:
            SMTPResponseException: TLS was refused.
            WireError: something was said between the consent and the handshake (RFC 3207, section 6): who says it is
                no server to log in to.
            SMTPServerDisconnected, OSError: the connection went first, or the handshake failed.
        """
        self._is_gated = True
        reply = await self.ask(b"STARTTLS")
        self._is_gated = False
        if reply.code != 220:
            raise SMTPResponseException(reply.code, reply.message)
        if self._is_slipped_in:
            raise WireError(FailureKind.PROTOCOL, "data between STARTTLS and the handshake")
        if self.link is None or self.link.is_closing():
            raise self._lost_to or WireError(FailureKind.CLOSED)
        self.transport = await start_tls(self.link, self, context, name, known)
        self._over_ssl = True

    async def ask(self, *parts: bytes) -> SMTPResponse:
        """Send one command and return its reply.

        Raises:
            SMTPServerDisconnected: with what ended the connection as its cause.
            SMTPResponseException: what came is not a reply.
        """
        self._forget()
        try:
            reply = await self.execute_command(*parts)
        except SMTPServerDisconnected as error:
            if error.__cause__ is None and self._lost_to is not None:
                raise error from self._lost_to
            raise
        if not 200 <= reply.code <= 599:
            raise SMTPResponseException(-1, reply.message)
        return reply
