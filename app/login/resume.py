"""I/O: TLS that takes up a server's last session (RFC 8446, section 2.2), between a transport in clear and a protocol.

Python's `ssl` copies a session for each connection that takes it up, and decodes the certificate's key anew with it:
nearly half of what such a handshake costs us. pyOpenSSL takes it up as it is.

    loop's transport <-> ResumingLink <-> SmtpWire, ImapWire

To the loop's transport this is the protocol, to the wires the transport, as the loops' own TLS is.
"""

import asyncio
import ssl
from typing import Any, Final, cast

from OpenSSL import SSL

from app.login.pin import KnownServer, connect_pinned, tell

MOST_READ: Final = 16_384
"""What a TLS record holds, in bytes (RFC 8446, section 5.1)."""
RECORD_HEAD: Final = 5
"""In bytes; the last two are the record's length without it."""
TICKET_READS: Final = 4
"""How often TLS 1.3 may bring no data and is taken to bring tickets, to which there is no answer (RFC 8446, section
4.6.1). An answer to what asks for one (section 4.6.3) goes with the next that is written, or once there was more."""


class ResumingError(ConnectionError):
    """The handshake failed; the cause says why."""


class ResumingLink(asyncio.Protocol, asyncio.Transport):
    """One connection under TLS to a server that is known."""

    def __init__(self, server: KnownServer) -> None:
        super().__init__()
        self.server = server
        self._loop = asyncio.get_running_loop()
        self._tls, self._meeting = connect_pinned(server)
        self._below: asyncio.Transport | None = None
        self._above: asyncio.Protocol | None = None
        self._handshake: asyncio.Future[None] | None = None
        self._next_record = 0
        self._is_empty = False
        self._idle_reads = 0
        self._is_one = False
        self._version = ""
        self._is_aborted = False
        self._fault: Exception | None = None

    async def start_tls(self, below: asyncio.Transport) -> None:
        """Shake hands over a transport in clear, whose protocol this becomes. Hangs up where that fails.

        Raises:
            ResumingError: it failed.
        """
        self._handshake = self._loop.create_future()
        is_met = False
        try:
            if below.is_closing():
                raise self._fault or ConnectionResetError()
            below.set_protocol(self)
            self.connection_made(below)
            self._shake()
            await self._handshake
            is_met = True
        except OSError as error:
            raise ResumingError from error
        finally:
            self._handshake = None
            if not is_met:
                below.abort()

    def hand_to(self, protocol: asyncio.Protocol) -> None:
        """Tell `protocol` what comes in from now on, and the end."""
        self._above = protocol
        self._loop.call_soon(self._read_first)
        if self._below is None:
            self._loop.call_soon(self.connection_lost, self._fault)

    @property
    def session_reused(self) -> bool:
        """Whether the server took the session up."""
        return bool(self._version) and not self._meeting.has_shown

    def take_session(self) -> SSL.Session | None:
        """Return the session that the next connection may take up."""
        return self._tls.get_session()

    def version(self) -> str:
        """Return the TLS version, such as `TLSv1.3`; empty before the handshake has ended."""
        return self._version

    # What the wires ask of a transport.

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return what the loops' TLS tells by these names, and what the transport below does."""
        if self._version and name == "peercert":
            return self.server.certificate
        if self._version and name in {"ssl_object", "sslcontext"}:
            return self
        return default if self._below is None else self._below.get_extra_info(name, default)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send."""
        if self.is_closing():
            return
        left = bytes(data)
        try:
            while left:
                left = left[self._tls.send(left) :]
        except SSL.Error as error:
            self._fail(tell(error))
        else:
            self._flush()

    def is_closing(self) -> bool:
        """Tell whether this is over."""
        return self._below is None or self._below.is_closing()

    def close(self) -> None:
        """Hang up, as `abort` does."""
        self.abort()

    def abort(self) -> None:
        """Hang up."""
        self._is_aborted = True
        if self._below is not None:
            self._below.abort()

    # What the transport below tells a protocol.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._below = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._tls.bio_write(data)
        self._count(data)
        if self._handshake is not None:
            self._shake()
        else:
            self._read()

    def connection_lost(self, exc: Exception | None) -> None:
        # OpenSSL takes no session up again whose connection was let go without a farewell: SSL_set_shutdown(3).
        self._tls.set_shutdown(SSL.SENT_SHUTDOWN)
        self._below = None
        self._fault = self._fault or exc
        if self._handshake is not None and not self._handshake.done():
            self._handshake.set_exception(exc or ConnectionResetError())
        above, self._above = self._above, None
        if above is not None:
            above.connection_lost(self._fault)

    def _count(self, data: bytes) -> None:
        """Learn where the next record begins, in bytes after `data`; below 0: that is not known any more."""
        at, end = self._next_record, len(data)
        self._is_one = self._is_empty and at == 0 and end == RECORD_HEAD + int.from_bytes(data[3:RECORD_HEAD])
        self._is_empty = False
        while 0 <= at < end:
            head = data[at : at + RECORD_HEAD]
            at = at + RECORD_HEAD + int.from_bytes(head[3:]) if len(head) == RECORD_HEAD else -1
        self._next_record = at - end if at >= 0 else -1

    def _shake(self) -> None:
        handshake = self._handshake
        if handshake is None or handshake.done():
            return
        try:
            self._tls.do_handshake()
        except SSL.WantReadError:
            self._flush()
            return
        except SSL.Error as error:
            self._flush()
            handshake.set_exception(tell(error) or ConnectionResetError())
            return
        self._flush()
        if self.server.session is None and not self._meeting.has_shown:
            handshake.set_exception(ssl.SSLError(ssl.SSL_ERROR_SSL, "no certificate was shown"))
            return
        self._version = self._tls.get_protocol_version_name()
        handshake.set_result(None)

    def _read_first(self) -> None:
        """Pass on what came with the end of the handshake.

        Where the protocol fails at that, this hangs up; later the transport below does, which it comes through.
        """
        is_read = False
        try:
            self._read()
            is_read = True
        finally:
            if not is_read:
                self.abort()

    def _read(self) -> None:
        """Pass on what has come."""
        try:
            while self._above is not None and not self._is_aborted and not self._is_empty:
                data = self._tls.recv(MOST_READ)
                self._is_empty = self._is_one  # to ask for more where there is none costs as much as to read
                self._above.data_received(data)
        except SSL.WantReadError:
            self._is_empty = True
            self._idle_reads += 1
            if self._version != "TLSv1.3" or self._idle_reads > TICKET_READS:
                self._flush()  # an answer to what was no data
        except SSL.Error as error:
            self._fail(tell(error))

    def _fail(self, error: OSError | None) -> None:
        self._fault = error
        self._flush()
        self.abort()

    def _flush(self) -> None:
        try:
            while self._below is not None:
                data = self._tls.bio_read(MOST_READ)
                self._below.write(data)
                if len(data) < MOST_READ:
                    return
        except SSL.WantReadError:
            return  # nothing more to send
