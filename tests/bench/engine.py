"""I/O: the check engine alone, without queue and ledger: the same mailboxes, the same figures as the bare script.

Usage: python -m tests.bench.engine AUTHORITY.pem CONCURRENCY < MAILBOXES
"""

import asyncio
import contextlib
import json
import resource
import sys
import time
from collections import defaultdict, deque
from collections.abc import Iterable
from dataclasses import replace
from ipaddress import ip_network

from app.cli.root import run_async
from app.login.check import close_tools, open_tools
from app.model import Encryption, Secret, Secrets, Side, SideStatus
from app.pace import Pace
from app.settings import Settings
from app.task import Kit, RowTask
from app.verify import verify_row
from tests.real.certificates import HOST


def make_task(mailbox: dict[str, str]) -> RowTask:
    email, secret = mailbox["email"], Secret(mailbox["password"])
    smtp = Side(True, email, email, HOST, int(mailbox["smtp_port"]), Encryption.SSL)
    imap = Side(True, email, email, HOST, int(mailbox["imap_port"]), Encryption.SSL)
    return RowTask(email, "", HOST, smtp, imap, Secrets(secret, secret))


async def check_all(tasks: Iterable[RowTask], kit: Kit, concurrency: int) -> dict[str, list[bool]]:
    """Check rows as a worker does: `concurrency` at a time, and no more than their host has room for.

    Returns by address whether its logins, one for each side, were made.
    """
    waiting, running, ends = deque(tasks), set[asyncio.Task[None]](), defaultdict[str, list[bool]](list)
    ended = asyncio.Event()

    async def check(task: RowTask) -> None:
        verdict = await verify_row(task, kit)
        if verdict.waits:
            # No turn came in time; what is settled is not checked again.
            smtp, imap = None if verdict.smtp else task.smtp, None if verdict.imap else task.imap
            waiting.append(replace(task, smtp=smtp, imap=imap))
        settled = [side.result.status is SideStatus.OK for side in (verdict.smtp, verdict.imap) if side is not None]
        ends[task.email] += settled

    def note_end(task: asyncio.Task[None]) -> None:
        running.discard(task)
        ended.set()

    while waiting or running:
        room = min(concurrency - len(running), kit.pace.room_of(HOST), len(waiting))
        for _ in range(room):
            task = asyncio.create_task(check(waiting.popleft()))
            running.add(task)
            task.add_done_callback(note_end)
        ended.clear()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(ended.wait(), 0.5)
    return ends


async def run(authority: str, concurrency: int) -> dict[str, float]:
    """Check every mailbox of standard input, `concurrency` at a time."""
    tasks = [make_task(json.loads(line)) for line in sys.stdin]
    ports = frozenset(port for task in tasks for side in (task.smtp, task.imap) if side for port in (side.port,))
    loopback = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
    settings = Settings(ca_file=authority, allow_networks=loopback, allow_ports=ports)
    tools = open_tools(settings)
    kit = Kit(tools, Pace({HOST: concurrency}), settings.check_timeout_seconds)
    started = time.perf_counter()
    before = time.process_time()
    ends = await check_all(tasks, kit, concurrency)
    ok = sum(sides == [True, True] for sides in ends.values())
    figures = {
        "ok": ok,
        "failed": len(ends) - ok,
        "seconds": round(time.perf_counter() - started, 3),
        "cpu_seconds": round(time.process_time() - before, 3),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    }
    await close_tools(tools)
    return figures


if __name__ == "__main__":
    # As the worker runs.
    sys.stdout.write(json.dumps(run_async(lambda: run(sys.argv[1], int(sys.argv[2])), fast=True)) + "\n")
