"""I/O: starts the programs of our own PostgreSQL and Valkey as the right user, so that they end with us. POSIX only.

PostgreSQL refuses to run as root: on Linux it is given a user namespace or, in containers that forbid those, the
account `nobody` with root's way into folders; elsewhere plain `nobody`. Linux tells the servers to stop when their
supervisor dies (prctl(2), PR_SET_PDEATHSIG).
"""

import ctypes
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO, Final

Command = list[str | Path]

IS_LINUX: Final = sys.platform == "linux"
NOBODY: Final = 65534
"""As user_namespaces(7) has it too; not every container names it in /etc/passwd."""


def find_program(names: list[str], *folders: Path | None) -> Path | None:
    """Return a program by one of its names: from the newest version in the folders, else from PATH."""
    for folder in folders:
        for name in names:
            # Debian has a folder of that name too, 15/lib/bitcode/postgres. The newest version sorts last: pginstall18
            # after pginstall, 17/bin after 15/bin.
            if programs := sorted(filter(Path.is_file, folder.glob(f"**/{name}"))) if folder is not None else []:
                return programs[-1]
    on_path = [path for name in names if (path := shutil.which(name))]
    return Path(on_path[0]).resolve() if on_path else None


def find_wheel(package: str) -> Path | None:
    """Return where an installed package is; it is found, not imported: the packages' own managers are not wanted."""
    spec = importlib.util.find_spec(package)
    return Path(spec.origin).parent if spec is not None and spec.origin else None


def major_version(postgres: Path) -> str:
    """Return PostgreSQL's major version."""
    text = subprocess.run([postgres, "--version"], capture_output=True, text=True, check=True).stdout
    return text.split()[2].partition(".")[0]


class Launcher:
    """Starts programs as the right user: PostgreSQL refuses to run as root.

    `is_stuck`: this is root, and may become nobody else.
    """

    def __init__(self, lock: IO[str], data_dir: Path) -> None:
        self._lock = lock
        self._data_dir = data_dir
        self._owner: str | int | None = None
        self._become: Callable[[], None] | None = None
        self.is_stuck = False
        if os.geteuid() == 0 and not IS_LINUX:
            self._owner = "nobody"
        elif os.geteuid() == 0 and _is_allowed(_enter_user_namespace):
            self._become = _enter_user_namespace
        elif os.geteuid() == 0:
            self._owner, self._become = NOBODY, _become_nobody
            self.is_stuck = not _is_allowed(_become_nobody)

    def give(self, *folders: Path) -> None:
        """Let the servers' user into the folders, where it is not ours."""
        for folder in folders:
            if self._owner is not None:
                shutil.chown(folder, self._owner)

    def run(self, command: Command) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(command, capture_output=True, user=self._user(), preexec_fn=self._preexec(0), check=False)

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
                user=self._user(),
                preexec_fn=self._preexec(at_death),  # noqa: PLW1509 - the main thread forks, before any other starts
            )

    def _user(self) -> str | int | None:
        """Return whom `subprocess` makes of the child; None: `_become` does it, or nobody has to."""
        return self._owner if self._become is None else None

    def _preexec(self, at_death: int) -> Callable[[], None]:
        become = self._become

        def prepare() -> None:
            if become is not None:
                become()
            if IS_LINUX and at_death:
                ctypes.CDLL(None).prctl(1, at_death)  # PR_SET_PDEATHSIG

        return prepare


def _is_allowed(become: Callable[[], None]) -> bool:
    try:
        subprocess.run(["/bin/true"], preexec_fn=become, check=True)
    except (subprocess.SubprocessError, OSError):
        return False
    return True


def _become_nobody() -> None:
    """Become `nobody`, who may go wherever root may: data and programs may lie under /root (capabilities(7))."""
    libc = ctypes.CDLL(None)
    libc.prctl(8, ctypes.c_ulong(1))  # PR_SET_KEEPCAPS
    # access(2), with which initdb looks for its siblings, would have it without capabilities.
    libc.prctl(28, ctypes.c_ulong(1 << 2))  # PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)
    head = (ctypes.c_uint32 * 2)(0x20080522, 0)  # _LINUX_CAPABILITY_VERSION_3, this process
    dac_override = 1
    sets = (ctypes.c_uint32 * 6)(*[1 << dac_override] * 3)  # effective, permitted, inheritable
    if libc.capset(head, sets) == 0:
        raised = [ctypes.c_ulong(number) for number in (2, dac_override, 0, 0)]
        libc.prctl(47, *raised)  # PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE: for the program too


def _enter_user_namespace() -> None:
    """Become `nobody` in a user namespace of our own; files stay root's (user_namespaces(7))."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(0x10000000):  # CLONE_NEWUSER
        raise OSError(ctypes.get_errno(), "unshare")
    for name, text in (("setgroups", "deny"), ("uid_map", f"{NOBODY} 0 1"), ("gid_map", f"{NOBODY} 0 1")):
        with Path("/proc/self", name).open("w") as handle:
            handle.write(text)
