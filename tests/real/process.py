"""Starting real servers so that they end with the tests, whatever ends these."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path


class UnavailableError(Exception):
    """A real server cannot run here; the text says why."""


@contextlib.contextmanager
def open_folder(label: str) -> Iterator[Path]:
    """Make a folder that the servers' own accounts can enter (pytest's are closed to them); removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix=f"{label}-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def free_ports(count: int) -> list[int]:
    """Return ports of 127.0.0.1 that nobody listens on."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


# Between us and the server stands a shell that ends it when its standard input does, so when we end, however that
# comes about. The kernel's own death signal is forgotten by servers that change their user id.
GUARD = """
exec 3<&0
"$@" </dev/null 3<&- &
server=$!
{ read -r _ <&3; kill "$server"; } 2>/dev/null &
watcher=$!
wait "$server"
code=$?
kill "$watcher" 2>/dev/null
exit "$code"
"""


def start(
    command: Sequence[str | Path], log: Path, environ: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start a server in the foreground. It ends with `stop`, or when this process does."""
    with log.open("ab") as sink:
        return subprocess.Popen(
            ["sh", "-c", GUARD, "guard", *map(str, command)],
            stdin=subprocess.PIPE,
            stdout=sink,
            stderr=sink,
            env=environ,
            start_new_session=True,
        )


def wait_until(is_ready: Callable[[], bool], process: subprocess.Popen[bytes], log: Path, seconds: float = 20) -> None:
    """Wait until a server is ready.

    Raises:
        UnavailableError: it ended, or took too long; with the end of its log.
    """
    ends_at = time.monotonic() + seconds
    while not is_ready():
        if process.poll() is not None or time.monotonic() > ends_at:
            tail = log.read_text(errors="replace")[-1500:] if log.exists() else ""
            stop(process)
            raise UnavailableError(f"{process.args!r} did not come up: {tail}")
        time.sleep(0.05)


def is_listening(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def stop(*processes: subprocess.Popen[bytes]) -> None:
    """End servers: kindly, all at once, then by force."""
    for each in processes:
        if each.stdin is not None:
            each.stdin.close()
    for each in processes:
        try:
            each.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(each.pid, signal.SIGKILL)
            each.wait(10)
