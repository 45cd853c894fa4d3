"""I/O: the data folder's lock: one supervisor at a time holds it, and says where its servers are. POSIX only.

The lock is the kernel's (flock(2)) on `data_dir/lock`; servers that inherit the open file hold it too, so it is free
only when all of them are gone, however they went. What stands in the file counts only while somebody holds it:

    {"pid": 4711, "database_url": "postgresql://...", "redis_url": "unix://...", "sockets": "/tmp/bulk-connect-..."}
"""

import contextlib
import fcntl
import json
import os
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Final

SOCKETS_PREFIX: Final = "bulk-connect-"


def take_lock(data_dir: Path, patience_seconds: float) -> IO[str] | None:
    """Take the folder. Servers whose supervisor died are waited for; None: a living one holds it."""
    lock = (data_dir / "lock").open("a+")
    os.set_inheritable(lock.fileno(), True)
    ends_at = time.monotonic() + patience_seconds
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if read_holder(data_dir) is None and time.monotonic() < ends_at:
                time.sleep(0.1)
                continue
            lock.close()
            return None
        _sweep_up(lock)
        return lock


def write_holder(lock: IO[str], about: Mapping[str, str]) -> None:
    """Say who holds the lock, and what can be reached there."""
    lock.seek(0)
    lock.truncate()
    lock.write(json.dumps({"pid": os.getpid(), **about}))
    lock.flush()


def read_holder(data_dir: Path) -> dict[str, str] | None:
    """Return what the living holder of the folder says of itself; None: nobody holds it, or only its orphans do."""
    try:
        with (data_dir / "lock").open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                about: dict[str, str] = json.load(file)
                return about if _is_alive(int(about["pid"])) else None
            return None  # the lock was free: what stands there is left from a crash
    except (OSError, ValueError, KeyError):
        return None


def _sweep_up(lock: IO[str]) -> None:
    """Remove the folder of sockets that a holder left behind when it was killed."""
    lock.seek(0)
    with contextlib.suppress(ValueError, KeyError, TypeError):
        sockets = Path(json.load(lock)["sockets"])
        if sockets.name.startswith(SOCKETS_PREFIX):
            shutil.rmtree(sockets, ignore_errors=True)
    lock.truncate(0)


def _is_alive(pid: int) -> bool:
    """Tell whether a process runs; on Linux one that ended, and that nobody asked after yet, does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (OSError, IndexError):
        return True
