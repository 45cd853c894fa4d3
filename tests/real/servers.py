"""I/O: PostgreSQL and Valkey of a test's own, in a folder of their own."""

import contextlib
from collections.abc import Iterator

from app import embedded
from tests.real.process import open_folder


@contextlib.contextmanager
def open_servers(programs: embedded.Programs | None = None) -> Iterator[embedded.Embedded]:
    """Run both servers, by default as we bring them. They may be stopped meanwhile."""
    with open_folder("servers") as folder:
        servers = embedded.start(folder, programs)
        try:
            yield servers
        finally:
            servers.stop()
