"""I/O: a connection that takes up a server's last TLS session (RFC 8446, section 2.2), or runs in clear until it does.

Python's `ssl` copies a session for each connection that takes it up, and decodes the certificate's key anew with it:
nearly half of what such a handshake costs us. pyOpenSSL takes it up as it is, straight on the socket.

Whom to trust is not decided here. `ssl` has verified the server's certificate under its name a short while ago; where
the server shows one instead of taking the session up, it must be the very same, and the handshake proves that it has
the key (RFC 8446, section 4.4.3). After any other end of the handshake the caller goes back to `ssl`.
"""

import asyncio
import functools
import os
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec
from OpenSSL import SSL, crypto

MOST_READ: Final = 16_384
"""What a TLS record holds, in bytes (RFC 8446, section 5.1)."""

MOST_SENT: Final = 65_536
"""At a time, in bytes: what is kept is copied once for each part."""

CIPHERS: Final = b"ECDHE+AESGCM:ECDHE+CHACHA20"
"""For TLS 1.2: the strong ones of those that `ssl` offers. Those of TLS 1.3 are all strong."""


@dataclass(frozen=True, slots=True)
class KnownServer:
    """A server that `ssl` has verified.

    `sni`: its name as the hello bears it, empty for an IP address (RFC 6066, section 3). `encoded`: its certificate in
    DER; `certificate`: the same as `getpeercert` writes it out. `session`: what may be taken up; None: none yet.
    """

    sni: bytes
    encoded: bytes
    certificate: Mapping[str, Any]
    session: SSL.Session | None = None


@dataclass(slots=True)
class _Meeting:
    """What is expected of a server, and whether it showed a certificate."""

    encoded: bytes
    has_shown: bool = False


class ResumingLink(asyncio.Transport):
    """A transport over a connected socket, which it owns. It keeps what cannot be sent at once, without a bound."""

    def __init__(self, sock: socket.socket, server: KnownServer) -> None:
        super().__init__()
        self.server = server
        self._loop = asyncio.get_running_loop()
        self._sock = sock
        self._number = sock.fileno()
        self._protocol: asyncio.Protocol | None = None
        self._tls: SSL.Connection | None = None
        self._meeting = _Meeting(server.encoded)
        self._handshake: asyncio.Future[None] | None = None
        self._unsent = bytearray()
        self._is_closed = False
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._loop.add_reader(self._number, self._look)

    async def start_tls(self) -> None:
        """Shake hands. Hangs up where that fails.

        Raises:
            OSError: it failed, and why.
        """
        tls = self._tls = SSL.Connection(_open_context(), self._sock)
        tls.set_app_data(self._meeting)
        tls.set_connect_state()
        if self.server.sni:
            tls.set_tlsext_host_name(self.server.sni)
        if self.server.session is not None:
            tls.set_session(self.server.session)
        self._handshake = self._loop.create_future()
        self._shake()
        try:
            await self._handshake
        except BaseException:
            self.abort()
            raise
        self._handshake = None

    def hand_to(self, protocol: asyncio.Protocol) -> None:
        """Tell `protocol` of the connection, and of what comes in from now on."""
        self._protocol = protocol
        protocol.connection_made(self)

    @property
    def session_reused(self) -> bool:
        """Whether the server took the session up; after the handshake."""
        return not self._meeting.has_shown

    def take_session(self) -> SSL.Session | None:
        """Return the session that the next connection may take up."""
        return self._tls.get_session() if self._tls is not None else None

    def version(self) -> str:
        """Return the TLS version, such as `TLSv1.3`; empty in clear."""
        return self._tls.get_protocol_version_name() if self._tls is not None else ""

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return what the loops' transports tell by these names: `socket`, and under TLS three more."""
        if name == "socket":
            return self._sock
        if self._tls is not None:
            if name == "peercert":
                return self.server.certificate
            if name in {"ssl_object", "sslcontext"}:
                return self
        return default

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send, at once as far as the socket takes it."""
        if self._is_closed:
            return
        is_free = not self._unsent
        self._unsent += data
        if is_free:
            self._send()

    def is_closing(self) -> bool:
        """Tell whether this is over."""
        return self._is_closed

    def close(self) -> None:
        """Hang up, as `abort` does."""
        self.abort()

    def abort(self) -> None:
        """Hang up; what was not sent yet is not."""
        self._end(None)

    def _look(self) -> None:
        if self._handshake is not None:
            self._shake()
            return
        if self._protocol is None:
            return  # it is about to be handed over; what has come waits in the socket
        try:
            data = self._sock.recv(MOST_READ) if self._tls is None else self._tls.recv(MOST_READ)
        except (BlockingIOError, SSL.WantReadError):
            return
        except (SSL.Error, OSError) as error:
            self._end(_tell(error))
            return
        if not data:
            self._end(None)
            return
        try:
            self._protocol.data_received(data)
        except BaseException:
            self._end(None)
            raise

    def _shake(self) -> None:
        handshake, tls = self._handshake, self._tls
        if handshake is None or tls is None or handshake.done():
            return
        try:
            tls.do_handshake()
        except SSL.WantReadError:
            return
        except SSL.WantWriteError:
            self._loop.add_writer(self._number, self._shake)
            return
        except (SSL.Error, OSError) as error:
            handshake.set_exception(_tell(error) or ConnectionResetError())
        else:
            handshake.set_result(None)
        self._loop.remove_writer(self._number)

    def _send(self) -> None:
        while self._unsent:
            data = bytes(self._unsent[:MOST_SENT])
            try:
                sent = self._sock.send(data) if self._tls is None else self._tls.send(data)
            except (BlockingIOError, SSL.WantWriteError):
                self._loop.add_writer(self._number, self._send)
                return
            except (SSL.Error, OSError) as error:
                self._end(_tell(error))
                return
            del self._unsent[:sent]
        self._loop.remove_writer(self._number)

    def _end(self, error: OSError | None) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        self._loop.remove_reader(self._number)
        self._loop.remove_writer(self._number)
        if self._tls is not None:
            # OpenSSL takes no session up again whose connection was let go without a farewell: SSL_set_shutdown(3).
            self._tls.set_shutdown(SSL.SENT_SHUTDOWN | SSL.RECEIVED_SHUTDOWN)
        self._sock.close()
        protocol, self._protocol = self._protocol, None
        if protocol is not None:
            self._loop.call_soon(protocol.connection_lost, error)


@functools.cache
def _open_context() -> SSL.Context:
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    context.set_cipher_list(CIPHERS)
    context.set_options(SSL.OP_NO_RENEGOTIATION)
    context.set_mode(SSL.MODE_RELEASE_BUFFERS)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_verify(SSL.VERIFY_PEER, _is_the_same)
    if ssl.OPENSSL_VERSION_INFO < (3, 5):
        # Ask of a server no more than `ssl` has just asked: not the hello of two packets that post-quantum keys need,
        # which some servers never answer. P-256 is what all must speak (RFC 8446, section 9.1).
        context.set_tmp_ecdh(ec.SECP256R1())
    return context


def _is_the_same(link: SSL.Connection, certificate: crypto.X509, _error: int, depth: int, _is_good: int) -> bool:
    """Compare a server's certificate with the one that `ssl` verified, together with those above it."""
    if depth:
        return True
    meeting = link.get_app_data()
    meeting.has_shown = True
    return bool(crypto.dump_certificate(crypto.FILETYPE_ASN1, certificate) == meeting.encoded)


def _tell(error: SSL.Error | OSError) -> OSError | None:
    """Return what the loops make of the same event; None: the peer has hung up."""
    if isinstance(error, OSError):
        return error
    if isinstance(error, SSL.ZeroReturnError):
        return None
    if isinstance(error, SSL.SysCallError):
        number = error.args[0]
        return OSError(number, os.strerror(number)) if number > 0 else None
    reasons = [reason for _library, _function, reason in error.args[0]] if error.args else []
    told = ssl.SSLError(ssl.SSL_ERROR_SSL, "TLS failed")
    told.reason = reasons[0] if reasons else ""
    return told
