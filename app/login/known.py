"""I/O (its clock): which servers were verified a short while ago, and which session each would take up.

Many mailboxes are on few servers: a session that is taken up spares a server its signature, and us the certificates.
"""

import ipaddress
import ssl
import time
from dataclasses import replace
from typing import Final

from app.login.pin import KnownServer, open_pinning
from app.login.resume import ResumingLink

KEEP_SECONDS: Final = 600.0
"""How long ago a server may have been verified that is taken for known."""
REST_SECONDS: Final = 3600.0
"""How long a server with which that went wrong is not: it may be several, with a certificate each."""
SILENCE_SECONDS: Final = 120.0
"""How long one is not that kept silent: the fault may have been the network's, or ours."""
MOST_KNOWN: Final = 1000
"""Some 10 KB each, most of it certificates."""


class KnownServers:
    """Servers by name and port. Another port is another server, with another certificate perhaps."""

    def __init__(self) -> None:
        self._context = open_pinning()
        self._known: dict[tuple[str, int], tuple[float, KnownServer | None]] = {}

    def recall(self, name: str, port: int) -> KnownServer | None:
        """Return what is known of a server; None: nothing, or nothing that serves."""
        until, server = self._known.get((name, port), (0.0, None))
        return server if time.monotonic() < until else None

    def learn(self, name: str, port: int, tls: ssl.SSLObject | ResumingLink) -> None:
        """Take from a connection that has stood what the next one can use."""
        now = time.monotonic()
        until, server = self._known.get((name, port), (0.0, None))
        if isinstance(tls, ResumingLink):
            # Of many at once the first has what is kept. A server that is several, each with keys of its own, takes
            # some sessions up and leaves others.
            if server is not None and server is tls.server and not tls.session_reused:
                self._keep(name, port, until, replace(server, session=tls.take_session()))
        elif now >= until and (encoded := tls.getpeercert(binary_form=True)):
            sni = b"" if _is_address(name) else name.encode("ascii")
            server = KnownServer(self._context, sni, encoded, tls.getpeercert() or {})
            self._keep(name, port, now + KEEP_SECONDS, server)

    def rest(self, name: str, port: int, server: KnownServer, seconds: float) -> None:
        """Let a server with which it went wrong be a stranger for a while, unless another took its place meanwhile."""
        known = self.recall(name, port)
        if known is not None and known.encoded == server.encoded:
            self._keep(name, port, time.monotonic() + seconds, None)

    def forget(self) -> None:
        """Let every server be a stranger."""
        self._known.clear()

    def _keep(self, name: str, port: int, until: float, server: KnownServer | None) -> None:
        self._known.pop((name, port), None)
        self._known[name, port] = until, server
        if len(self._known) > MOST_KNOWN:
            del self._known[next(iter(self._known))]  # the one that was heard of the longest ago


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
