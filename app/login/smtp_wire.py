"""I/O: aiosmtplib's protocol, made to forget what was said before it was asked and to know why it was cut off."""

import asyncio
import ssl
from typing import cast

from aiosmtplib.errors import SMTPResponseException, SMTPServerDisconnected
from aiosmtplib.protocol import SMTPProtocol
from aiosmtplib.response import SMTPResponse

from app.login.failure import WireError
from app.login.tls import HANDSHAKE_LIMIT_SECONDS, TLS_RECORDS
from app.model import FailureKind


class SmtpWire(SMTPProtocol):
    """One SMTP connection."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self._lost_to: Exception | None = None
        self._is_gated = False
        self._is_slipped_in = False

    @property
    def link(self) -> asyncio.Transport | None:
        return cast(asyncio.Transport | None, self.transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost_to = exc
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if not self._over_ssl and data[:2] in TLS_RECORDS and not self._buffer:
            if self._response_waiter is not None and not self._response_waiter.done():
                self._set_response_exception(self._response_waiter, WireError(FailureKind.TLS_UNASKED))
            return
        super().data_received(data)
        if self._is_gated and self._response_waiter is not None and self._response_waiter.done() and self._buffer:
            self._is_slipped_in = True

    async def encrypt(self, context: ssl.SSLContext, name: str) -> None:
        """Ask for TLS and shake hands.

        Raises:
            WireError: something was said between the consent and the handshake (RFC 3207, section 6). The library
                drops it; who says it is no server to log in to.
        """
        self._is_gated = True
        try:
            await self.start_tls(context, server_hostname=name, timeout=HANDSHAKE_LIMIT_SECONDS)
        finally:
            self._is_gated = False
        if self._is_slipped_in:
            raise WireError(FailureKind.PROTOCOL, "data between STARTTLS and the handshake")

    async def ask(self, *parts: bytes) -> SMTPResponse:
        """Send one command and return its reply.

        Raises:
            SMTPServerDisconnected: with what ended the connection as its cause.
            SMTPResponseException: what came is not a reply.
        """
        del self._buffer[:]
        try:
            reply = await self.execute_command(*parts)
        except SMTPServerDisconnected as error:
            if error.__cause__ is None and self._lost_to is not None:
                raise error from self._lost_to
            raise
        if not 200 <= reply.code <= 599:
            raise SMTPResponseException(-1, reply.message)
        return reply
