"""Which servers were verified a short while ago, and the session that the next connection to each can take up.

Many mailboxes are on few servers: a session that is taken up spares a server its signature, and us the certificates.

The clock is `time.monotonic`, in seconds.
"""

import ipaddress
import ssl
import time
from dataclasses import replace
from typing import Final

from app.login.resume import KnownServer, ResumingLink

KEEP_SECONDS: Final = 600.0
"""How long ago a server may have been verified whose session is taken up."""
REST_SECONDS: Final = 120.0
MOST_KNOWN: Final = 2000


class KnownServers:
    """Servers by name and port. Another port is another server, with another certificate perhaps."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int], tuple[float, KnownServer | None]] = {}

    def recall(self, name: str, port: int) -> KnownServer | None:
        """Return what is known of a server; None: nothing, or nothing that serves."""
        until, server = self._known.get((name, port), (0.0, None))
        return server if time.monotonic() < until else None

    def learn(self, name: str, port: int, tls: ssl.SSLObject | ResumingLink) -> None:
        """Take from a connection that has stood what the next one can use."""
        key, now = (name, port), time.monotonic()
        until, server = self._known.get(key, (0.0, None))
        if isinstance(tls, ResumingLink):
            if tls.session_reused or server is None or server is not tls.server:
                return  # all is known; or others have learned more meanwhile
            if server.session is None:
                self._known[key] = until, replace(server, session=tls.take_session())
            else:
                # It was offered and not taken. Where only some are taken, verifying costs less in the end.
                self._known[key] = now + REST_SECONDS, None
        elif now >= until:
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            encoded = tls.getpeercert(binary_form=True)
            if encoded:
                sni = b"" if _is_address(name) else name.encode("ascii")
                self._known[key] = now + KEEP_SECONDS, KnownServer(sni, encoded, tls.getpeercert() or {})

    def drop(self, name: str, port: int) -> None:
        """Take no session of a server up for a while: there are some that break off, or fall silent."""
        self._known[name, port] = time.monotonic() + KEEP_SECONDS, None


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
