"""I/O: the check engine alone, without queue and ledger: the same mailboxes, the same figures as the bare script.

Usage: python -m tests.bench.engine AUTHORITY.pem CONCURRENCY < MAILBOXES
"""

import asyncio
import json
import resource
import sys
import time
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


async def run(authority: str, concurrency: int) -> dict[str, float]:
    """Check every mailbox of standard input, `concurrency` at a time."""
    tasks = [make_task(json.loads(line)) for line in sys.stdin]
    ports = frozenset(port for task in tasks for side in (task.smtp, task.imap) if side for port in (side.port,))
    loopback = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
    settings = Settings(ca_file=authority, allow_networks=loopback, allow_ports=ports)
    tools = open_tools(settings)
    kit = Kit(tools, Pace({HOST: concurrency}), settings.check_timeout_seconds)
    slots = asyncio.Semaphore(concurrency)

    async def check(task: RowTask) -> bool:
        async with slots:
            verdict = await verify_row(task, kit)
        while verdict.waits:
            # No turn came in time: the worker would claim the row later.
            await asyncio.sleep(0.5)
            again = replace(task, smtp=None if verdict.smtp else task.smtp, imap=None if verdict.imap else task.imap)
            async with slots:
                later = await verify_row(again, kit)
            verdict = replace(later, smtp=verdict.smtp or later.smtp, imap=verdict.imap or later.imap)
        sides = (verdict.smtp, verdict.imap)
        return all(side is not None and side.result.status is SideStatus.OK for side in sides)

    started = time.perf_counter()
    before = time.process_time()
    results = await asyncio.gather(*map(check, tasks))
    figures = {
        "ok": sum(results),
        "failed": len(results) - sum(results),
        "seconds": round(time.perf_counter() - started, 3),
        "cpu_seconds": round(time.process_time() - before, 3),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    }
    await close_tools(tools)
    return figures


if __name__ == "__main__":
    # As the worker runs.
    sys.stdout.write(json.dumps(run_async(lambda: run(sys.argv[1], int(sys.argv[2])), fast=True)) + "\n")
