"""I/O: three hosts of our own, one of them cut off in the middle of a request; in the end the books must balance.

In the middle stand PostgreSQL, Valkey, the bucket, the mail servers and the API; a worker on each of the two others.
The cable of one is pulled while it has rows in its hands: the other finishes. It is plugged in again: both go on.

Usage: python -m tests.chaos.cut_off [--rows N]
"""

import argparse
import asyncio
import contextlib
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import aiohttp
from yarl import URL

from app.embedded import Programs, find_programs
from app.store.db import connect
from tests.chaos.books import audit, audit_counts, audit_report
from tests.chaos.caller import CONNECT, post, read_rows, say, settle
from tests.chaos.stage import Stage, set_stage
from tests.real.bucket import Bucket
from tests.real.hosts import NETWORK, Host, Hosts, open_hosts
from tests.real.line import until
from tests.real.process import UnavailableError, start, stop

MIDDLE = f"{NETWORK}.1"
ADDRESSES = 60
"""The mail servers' too."""
DEAD_AFTER_SECONDS = 4
METRICS_PORT = 9100
CANNOT = 77
"""What the program ends with where no hosts can be made, or no bucket."""

POSTGRES = """#!/bin/sh
if [ "$1" = -D ] && ! grep -q {network} "$2/pg_hba.conf"; then
    echo "host all all 10.77.0.0/16 trust" >>"$2/pg_hba.conf"
fi
exec "{program}" "$@" -c listen_addresses={address} -c port=5432
"""
VALKEY = """#!/bin/sh
exec "{program}" "$@" --port 6379 --bind {address} --protected-mode no
"""


def reachable(folder: Path) -> Programs:
    """Return programs of our own servers that listen for other hosts as well."""
    found = find_programs()
    words = {"postgres": (POSTGRES, found.postgres), "valkey-server": (VALKEY, found.valkey)}
    for name, (script, program) in words.items():
        path = folder / name
        path.write_text(script.format(program=program, address=MIDDLE, network="10[.]77"))
        path.chmod(0o755)
    return Programs(folder / "postgres", found.initdb, folder / "valkey-server")


@contextlib.contextmanager
def working(stage: Stage, *hosts: Host) -> Iterator[dict[Host, subprocess.Popen[bytes]]]:
    """Run a worker on each host."""
    environ = {
        **stage.service.environ,
        "DATABASE_URL": f"postgresql://bulk_connect@{MIDDLE}:5432/postgres",
        "REDIS_URL": f"redis://{MIDDLE}:6379/0",
        "BULK_CONNECT_METRICS_ADDRESS": f"0.0.0.0:{METRICS_PORT}",
    }
    words = [sys.executable, "-m", "app", "worker"]
    running = {host: start(host.words(*words), log_of(stage, host), environ) for host in hosts}
    try:
        yield running
    finally:
        stop(*running.values())


def log_of(stage: Stage, host: Host) -> Path:
    return stage.folder / f"{host.wire}.log"


async def count_checks(host: Host) -> int:
    """Return how many sides the worker of a host says it has checked."""
    url = f"http://{host.address}:{METRICS_PORT}/metrics"
    timeout = aiohttp.ClientTimeout(total=5)
    async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url) as answer:
        text = await answer.text()
    assert "bulk_connect_checks_in_flight " in text
    return sum(
        int(float(count)) for count in re.findall(r"^bulk_connect_checks_total\{.*\} (\S+)$", text, re.MULTILINE)
    )


async def count_held(stage: Stage, host: Host) -> int:
    """Return how many rows PostgreSQL says are in the hands of a host's worker."""
    found = re.search(r'"worker_id": ?"([0-9a-f-]+)"', log_of(stage, host).read_text())
    if found is None:
        return 0
    query = "SELECT count(*) FROM request_rows WHERE state = 'checking' AND worker_id = $1"
    link = await connect(stage.ground.database_url)
    try:
        return int(await link.fetchval(query, found.group(1)))
    finally:
        await link.close()


async def audit_request(stage: Stage, request_id: str, seconds: float) -> list[str]:
    """Wait until a request is completed; return what is wrong with it."""
    status = await settle(stage, request_id, seconds)
    rows = await read_rows(stage, request_id)
    async with aiohttp.ClientSession() as session, session.get(URL(status["reportURL"], encoded=True)) as answer:
        text = await answer.text(encoding="utf-8")
        wrong = [] if answer.status == 200 else [f"the report's link is answered {answer.status}"]
    again = sum(row.attempts > 1 for row in rows)
    say(f"{len(rows)} rows ended, {again} of them in more than one attempt")
    return [*wrong, *audit(rows, stage.mail.logins), *audit_counts(status["counts"], rows), *audit_report(rows, text)]


def name_mailboxes(label: str, count: int) -> list[str]:
    return [f"{'wrong' if number % 12 == 0 else 'good'}-{label}-{number}@counting.test" for number in range(count)]


async def play(stage: Stage, hosts: Hosts, count: int) -> list[str]:
    """Play it through. Returns what is wrong."""
    lost, left = hosts.others

    async def are_busy() -> bool:
        return min([await count_held(stage, host) for host in hosts.others]) >= 20

    async def is_back() -> bool:
        return await count_held(stage, lost) > 0

    with working(stage, lost, left) as running:
        main_id = await post(stage, name_mailboxes("main", count), "main")
        await until(are_busy)
        await asyncio.sleep(1)  # so that some of them are done
        held, checked = await count_held(stage, lost), await count_checks(lost)
        hosts.pull(lost)
        began = time.monotonic()
        say(f"{lost.name} is cut off with {held} rows in its hands and {checked} sides checked")
        wrong = await audit_request(stage, main_id, 90)
        say(f"completed {time.monotonic() - began:.0f} s later by {left.name} alone")
        wrong += [] if held else ["nothing was in the hands of the host that was cut off"]
        before = await count_checks(left)
        hosts.plug(lost)
        second_id = await post(stage, name_mailboxes("second", count), "second")
        await until(is_back, 60)
        say(f"{lost.name} is back {time.monotonic() - began:.0f} s after it was cut off, and has rows in its hands")
        wrong += await audit_request(stage, second_id, 90)
        wrong += await audit_request(stage, main_id, 5)  # whatever the lost host still had to say
        gained = [await count_checks(lost) - checked, await count_checks(left) - before]
        say(f"sides checked since by the two: {gained}")
        wrong += [] if min(gained) > 0 else ["one of the hosts checked nothing"]
    wrong += [f"a worker ended with {process.returncode}" for process in running.values() if process.returncode]
    _, listed = await stage.call("GET", f"{CONNECT}?limit=10")
    return wrong if listed["payload"]["total"] == 2 else [*wrong, "there are more requests than were posted"]


async def run(hosts: Hosts, count: int) -> list[str]:
    with tempfile.TemporaryDirectory(prefix="bulk-connect-hosts-") as name:
        folder = Path(name)
        bucket = Bucket(folder, MIDDLE)
        bucket.start()
        more = {
            "ALLOW_NETWORKS": f"{NETWORK}.0/24",
            "REPORT_STORE": bucket.store,
            "WORKER_TIMEOUT": str(DEAD_AFTER_SECONDS),
        }
        settings = {f"BULK_CONNECT_{key}": value for key, value in more.items()} | bucket.environ()
        try:
            async with set_stage(
                folder, say, workers=0, network=NETWORK, programs=reachable(folder), more=settings
            ) as stage:
                return await play(stage, hosts, count)
        finally:
            bucket.stop()


def main() -> int:
    parser = argparse.ArgumentParser(prog="cut_off", description=__doc__)
    parser.add_argument("--rows", type=int, default=500)
    given = parser.parse_args()
    try:
        with open_hosts("one", "two", addresses=ADDRESSES) as hosts:
            hosts.enter()
            wrong = asyncio.run(run(hosts, given.rows))
    except UnavailableError as reason:
        say(f"it cannot be played here: {reason}")
        return CANNOT
    for line in wrong[:50]:
        say(f"WRONG: {line}")
    say(f"the books do not balance: {len(wrong)} faults" if wrong else "the books balance")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
