"""I/O: TLS by pyOpenSSL, for servers that `ssl` has verified a short while ago.

Whom to trust is not decided here. A server takes up a session that was made under this pin, or it shows a certificate:
that must be the very one that `ssl` has verified under its name, and the handshake proves that it has the key
(RFC 8446, section 4.4.3).
"""

import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec
from OpenSSL import SSL, crypto

CIPHERS: Final = b"ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE+AES:DHE+AES:!aNULL:!aDSS:!PSK:!SHA1:!AESCCM"
"""For TLS 1.2: what `ssl` offers. In all of them the server signs with its key."""
SUITES: Final = b"TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
"""For TLS 1.3: what `ssl` offers, the least costly first; a server's own order goes before ours."""


@dataclass(frozen=True, slots=True)
class KnownServer:
    """A server that `ssl` has verified.

    `sni`: its name as the hello bears it, empty for an IP address (RFC 6066, section 3). `encoded`: its certificate in
    DER; `certificate`: the same as `getpeercert` writes it out. `session`: what may be taken up; None: none yet.
    """

    context: SSL.Context
    sni: bytes
    encoded: bytes
    certificate: Mapping[str, Any]
    session: SSL.Session | None = None


@dataclass(slots=True)
class Meeting:
    """What is expected of a server, and whether it showed a certificate."""

    encoded: bytes
    has_shown: bool = False


def open_pinning() -> SSL.Context:
    """Make the context for all known servers."""
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    context.set_cipher_list(CIPHERS)
    context.set_tls13_ciphersuites(SUITES)
    context.set_options(SSL.OP_NO_RENEGOTIATION)
    context.set_mode(SSL.MODE_RELEASE_BUFFERS)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_verify(SSL.VERIFY_PEER, _is_the_same)
    if ssl.OPENSSL_VERSION_INFO < (3, 5):
        # Ask of a server no more than `ssl` has just asked: not the hello of two packets that post-quantum keys need,
        # which some servers never answer. P-256 is what all must speak (RFC 8446, section 9.1).
        context.set_tmp_ecdh(ec.SECP256R1())
    return context


def connect_pinned(server: KnownServer) -> tuple[SSL.Connection, Meeting]:
    """Return one end of a connection to `server`, before its handshake, and what will be known of the other's."""
    tls, meeting = SSL.Connection(server.context, None), Meeting(server.encoded)
    tls.set_app_data(meeting)
    tls.set_connect_state()
    if server.sni:
        tls.set_tlsext_host_name(server.sni)
    if server.session is not None:
        tls.set_session(server.session)
    return tls, meeting


def _is_the_same(link: SSL.Connection, certificate: crypto.X509, _error: int, depth: int, _is_good: int) -> bool:
    """Compare a server's certificate with the one that `ssl` verified, together with those above it."""
    if depth:
        return True
    meeting = link.get_app_data()
    meeting.has_shown = True
    return bool(crypto.dump_certificate(crypto.FILETYPE_ASN1, certificate) == meeting.encoded)


def tell(error: SSL.Error) -> OSError | None:
    """Return what `ssl` and the loops make of the same event; None: the peer has hung up."""
    if isinstance(error, SSL.ZeroReturnError):
        return None
    if isinstance(error, SSL.SysCallError):
        number = error.args[0]
        return OSError(number, os.strerror(number)) if number > 0 else None
    reasons = [reason for _library, _function, reason in error.args[0]] if error.args else []
    told = ssl.SSLError(ssl.SSL_ERROR_SSL, "TLS failed")
    told.reason = reasons[0] if reasons else ""  # the first is the cause of the others
    return told
