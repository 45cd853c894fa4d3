"""I/O: what a service at rest must not hold any more: rows, locks, transactions, connections, open files."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

from app.folder import take_lock
from app.store.db import StoreError, connect
from tests.chaos.stage import Stage

MOST_FILES = 100
"""That a process has open at rest: its pools, its libraries' pipes, its log."""
OPEN_STATES = {"01", "08"}
"""ESTABLISHED and CLOSE_WAIT (Linux, include/net/tcp_states.h)."""

_HELD = {
    "rows in somebody's hands": "SELECT count(*) FROM request_rows WHERE state = 'checking'",
    "drains": "SELECT count(*) FROM drains",
    "advisory locks": "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'",
    "locks that are waited for": "SELECT count(*) FROM pg_locks WHERE NOT granted",
    "transactions that stand open": "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'",
}


async def find_leftovers(stage: Stage, seconds: float) -> list[str]:
    """Return what is held still, after a time for the last of the dead to be missed."""
    ends_at = time.monotonic() + seconds
    while (found := await _look(stage)) and time.monotonic() < ends_at:
        await asyncio.sleep(0.5)
    return found


def find_lock(data_dir: Path) -> list[str]:
    """Return what is wrong with the lock of a data folder whose service has ended."""
    lock = take_lock(data_dir, 5)
    if lock is None:
        return ["the data folder is locked still"]
    lock.close()
    return []


async def _look(stage: Stage) -> list[str]:
    running = {name: process.pid for name, process in stage.service.running.items() if process.returncode is None}
    found = [words for name, pid in running.items() for words in _look_at_process(stage, name, pid)]
    try:
        db = await connect(stage.ground.database_url)
    except StoreError as error:
        return [*found, f"PostgreSQL is not there: {error}"]
    try:
        counts = {name: await db.fetchval(query) for name, query in _HELD.items()}
        workers = await db.fetchval("SELECT count(*) FROM workers")
    finally:
        await db.close()
    found += [f"{count} {name}" for name, count in counts.items() if count]
    living = len(running) - ("api" in running)
    return found if workers == living else [*found, f"{workers} workers are known, {living} live"]


def _look_at_process(stage: Stage, name: str, pid: int) -> Iterator[str]:
    try:
        files = [str(entry.readlink()) for entry in Path(f"/proc/{pid}/fd").iterdir()]
        lines = Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]
    except OSError:
        yield f"{name} ended just now"
        return
    if len(files) > MOST_FILES:
        yield f"{name} has {len(files)} files open"
    ports = {f"{port:04X}" for port in (stage.mail.smtp_port, stage.mail.imap_port)}
    calls = 0
    for line in lines:
        _, _, remote, state, *_, inode = line.split()[:10]
        calls += state in OPEN_STATES and remote.rpartition(":")[2] in ports and f"socket:[{inode}]" in files
    if calls:
        yield f"{name} has {calls} connections to mail servers"
