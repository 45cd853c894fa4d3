"""A PostgreSQL and a Valkey of a test's own that can really be stopped; PostgreSQL keeps one address all the time."""

import shutil
import tempfile
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from app import embedded


class Outage:
    """Where it is: `database_url`. Call everything from the main thread; starting takes about a second."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="outage-"))
        self._door = self._folder / "door"
        self._servers: embedded.Embedded | None = None

    @property
    def database_url(self) -> str:
        return f"postgresql://bulk_connect@/postgres?host={self._door}"

    @property
    def redis_url(self) -> str:
        """Return where Valkey is until PostgreSQL is started again."""
        assert self._servers is not None
        return self._servers.redis_url

    def kill_redis(self) -> None:
        """SIGKILL for Valkey alone."""
        assert self._servers is not None
        valkey = next(server.process for server in self._servers.servers if server.name == "Valkey")
        valkey.kill()
        valkey.wait()

    def start(self) -> None:
        """Start the servers; the sockets' folder changes, so the address is a link to it."""
        self._servers = embedded.start(self._folder / "data")
        sockets = parse_qs(urlsplit(self._servers.database_url).query)["host"][0]
        self._door.unlink(missing_ok=True)
        self._door.symlink_to(sockets)

    def stop(self) -> None:
        """Stop the servers: connections are cut, new ones refused."""
        if self._servers is not None:
            self._servers.stop()
        self._servers = None

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self._folder)
