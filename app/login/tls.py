"""I/O: TLS as every check has it: always verified.

One context serves all checks of a protocol: making one costs 30 ms and 0.8 MB. Another, which does not verify, is
for `check.py` alone: when a certificate was refused, it looks at it again to say whose it is and until when it
was good; nothing but what STARTTLS needs is ever sent under it.

Many mailboxes are on few servers, so a server's last session is taken up again (RFC 8446, section 2.2): that spares it
its signature, and us the certificates. They were verified when the session was made, ten minutes ago at the most.
"""

import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from weakref import WeakSet

from app.checked import Certificate
from app.login.certificate import KnowingLink
from app.model import Protocol, Server

HANDSHAKE_LIMIT_SECONDS = 630.0
"""For the loop's own clock, which shall not ring before the stage's; that may be as long as a check, ten minutes."""

TLS_RECORDS = frozenset({b"\x15\x03", b"\x16\x03"})
"""How an alert and a handshake begin: content type and major version (RFC 8446, section 5.1)."""

KEEP_SESSION_SECONDS = 600.0
REST_SECONDS = 120.0
MOST_SESSIONS = 2000
KEEP_SEEN_SECONDS = 300.0
MOST_SEEN = 2000


class ResumingContext(ssl.SSLContext):
    """A context that verifies, and offers each server the last session made with it; by the name that was verified."""

    sslobject_class = KnowingLink

    def __init__(self, *_args: object, **_named: object) -> None:
        self._sessions: dict[str, tuple[float, ssl.SSLSession | None]] = {}
        self._offered: WeakSet[ssl.SSLObject] = WeakSet()

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        """Do what every context does; the loops call it for each connection."""
        if isinstance(server_hostname, str):
            until, known = self._sessions.get(server_hostname, (0.0, None))
            session = known if time.monotonic() < until else None
        link = super().wrap_bio(incoming, outgoing, server_side, server_hostname, session)
        if session is not None:
            self._offered.add(link)
        return link

    def keep_session(self, link: ssl.SSLObject) -> None:
        """Keep the session of a connection that has stood; one that was itself taken up is not kept anew."""
        name, now = link.server_hostname, time.monotonic()
        if not name or link.session_reused:
            return
        until, _ = self._sessions.get(name, (0.0, None))
        was_offered = link in self._offered
        if now < until and not was_offered:
            return  # a rest, or one is kept that was made meanwhile
        if len(self._sessions) >= MOST_SESSIONS:
            self._sessions.clear()
        if was_offered:
            # It was offered and not taken. To offer costs more than it saves where only some are taken: a copy each.
            self._sessions[name] = (now + REST_SECONDS, None)
            return
        session = link.session
        if session is not None and session.has_ticket:
            self._sessions[name] = (now + KEEP_SESSION_SECONDS, session)

    def has_session(self, name: str) -> bool:
        """Tell whether the next connection to a server will be offered a session."""
        until, session = self._sessions.get(name, (0.0, None))
        return session is not None and time.monotonic() < until

    def drop_session(self, name: str) -> None:
        """Offer a server none for a while: there are some that break off when a session is taken up again."""
        self._sessions[name] = (time.monotonic() + KEEP_SESSION_SECONDS, None)


@dataclass(frozen=True, slots=True)
class TlsContexts:
    """The contexts for everything, and the one for looking at refused certificates."""

    verify: Mapping[Protocol, ResumingContext]
    peek: ssl.SSLContext
    seen: dict[tuple[str, Server], tuple[float, Certificate]] = field(default_factory=dict)
    """Refused certificates by address and server, with the loop's time when they are looked at again."""

    def recall(self, address: str, server: Server, now: float) -> Certificate | None:
        """Return a refused certificate that was looked at a short while ago; None: look."""
        until, certificate = self.seen.get((address, server), (0.0, None))
        return certificate if now < until else None

    def remember(self, address: str, server: Server, now: float, certificate: Certificate) -> None:
        """Keep a refused certificate for a while: the rows of a whole company may run into it."""
        if len(self.seen) >= MOST_SEEN:
            self.seen.clear()
        self.seen[address, server] = (now + KEEP_SEEN_SECONDS, certificate)


def open_contexts(ca_file: str = "") -> TlsContexts:
    """Make the contexts. `ca_file`: PEM file of authorities to trust besides the system's; empty: none.

    Raises:
        OSError: `ca_file` cannot be read, or holds no certificate.
    """
    peek = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    peek.check_hostname = False
    peek.verify_mode = ssl.CERT_NONE
    peek.minimum_version = ssl.TLSVersion.TLSv1_2
    return TlsContexts({protocol: _open_verifying(ca_file) for protocol in Protocol}, peek)


def judge_ca_file(ca_file: str) -> str:
    """Return what keeps a PEM file of authorities from being used; empty: nothing."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=ca_file)
    except ssl.SSLError:
        return f"holds no certificate in PEM: {ca_file}"
    except OSError as error:
        return f"cannot be read: {ca_file}: {error.strerror}"
    return ""


def _open_verifying(ca_file: str) -> ResumingContext:
    # As ssl.create_default_context makes it, less VERIFY_X509_STRICT, which Python 3.13 alone asks for: the same
    # certificate shall be as good everywhere.
    context = ResumingContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_default_certs()
    if ca_file:
        context.load_verify_locations(cafile=ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
