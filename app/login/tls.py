"""I/O: TLS as every check has it: always verified.

One context serves all checks of a protocol: making one costs 30 ms and 0.8 MB. Another, which does not verify, is
for `check.py` alone: when a certificate was refused, it looks at it again to say whose it is and until when it
was good; nothing but what STARTTLS needs is ever sent under it.

Many mailboxes are on few servers: those that were verified a short while ago are known (`known.py`), and their sessions
taken up (`resume.py`).
"""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field

from app.checked import Certificate
from app.login.certificate import KnowingLink
from app.login.known import KnownServers
from app.model import Protocol, Server

HANDSHAKE_LIMIT_SECONDS = 630.0
"""For the loop's own clock, which shall not ring before the stage's; that may be as long as a check, ten minutes."""

TLS_RECORDS = frozenset({b"\x15\x03", b"\x16\x03"})
"""How an alert and a handshake begin: content type and major version (RFC 8446, section 5.1)."""

KEEP_SEEN_SECONDS = 300.0
MOST_SEEN = 2000


@dataclass(frozen=True, slots=True)
class TlsContexts:
    """The contexts for everything, and the one for looking at refused certificates."""

    verify: Mapping[Protocol, ssl.SSLContext]
    peek: ssl.SSLContext
    known: KnownServers = field(default_factory=KnownServers)
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


def _open_verifying(ca_file: str) -> ssl.SSLContext:
    # As ssl.create_default_context makes it, less VERIFY_X509_STRICT, which Python 3.13 alone asks for: the same
    # certificate shall be as good everywhere.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.sslobject_class = KnowingLink
    context.load_default_certs()
    if ca_file:
        context.load_verify_locations(cafile=ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
