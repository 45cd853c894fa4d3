"""I/O: what a check costs: a bare script with the two libraries, our engine alone, and the whole service."""

import json
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass

from tests.bench.house import CLIENT_CORE, House, open_house, pinned
from tests.bench.service import open_bench

CONCURRENCY = 100


@dataclass(frozen=True)
class Figure:
    """One run: mailboxes a second, CPU seconds for each thousand, peak memory."""

    per_second: float
    cpu_per_thousand: float
    peak_mb: float


async def compare(count: int, rounds: int) -> dict[str, list[Figure]]:
    """Run all three on the same mailboxes, in turn, `rounds` times.

    Raises:
        UnavailableError: Dovecot or Postfix is not installed.
    """
    found: dict[str, list[Figure]] = {"bare script": [], "engine": [], "service": []}
    with open_house(count) as house:
        for _ in range(rounds):
            found["bare script"].append(_run(house, "bare_script", "uvloop"))
            found["engine"].append(_run(house, "engine"))
            found["service"].append(await _run_service(house))
    return found


def render(found: dict[str, list[Figure]]) -> list[str]:
    """Return a table of medians, each beside the bare script's of the same round."""
    lines = [f"{'':14}{'mailboxes/s':>12}{'CPU s / 1,000':>15}{'x bare':>8}{'peak MB':>9}"]
    bare = found["bare script"]
    for name, figures in found.items():
        ratio = statistics.median(
            figure.cpu_per_thousand / other.cpu_per_thousand for figure, other in zip(figures, bare, strict=True)
        )
        rate, cpu, peak = (
            statistics.median(getattr(figure, field) for figure in figures)
            for field in ("per_second", "cpu_per_thousand", "peak_mb")
        )
        lines.append(f"{name:14}{rate:12.0f}{cpu:15.2f}{ratio:8.2f}{peak:9.0f}")
    return lines


def _run(house: House, module: str, *more: str) -> Figure:
    command = [sys.executable, "-m", f"tests.bench.{module}", str(house.ca_file), str(CONCURRENCY), *more]
    with pinned(CLIENT_CORE):
        done = subprocess.run(command, input=house.lines(), capture_output=True, text=True, check=True)
    figures = json.loads(done.stdout)
    count = len(house.users)
    assert figures["ok"] == count, figures
    return Figure(count / figures["seconds"], figures["cpu_seconds"] / count * 1000, figures["peak_mb"])


async def _run_service(house: House) -> Figure:
    """Time and cost from the POST to the finished report; all of API, worker, PostgreSQL and Valkey."""
    settings = {
        "ALLOW_PORTS": f"{house.smtp_port},{house.imap_port}",
        "CA_FILE": str(house.ca_file),
        "PROVIDER_LIMITS": f"localhost={CONCURRENCY},127.0.0.1={CONCURRENCY}",
        "CHECK_CONCURRENCY": str(CONCURRENCY),
    }
    rows = house.rows()
    async with open_bench(settings) as bench:
        before = bench.cost()
        started = time.perf_counter()
        request_id, _ = await bench.post(rows)
        status = await bench.settle(request_id, every=0.25)
        seconds = time.perf_counter() - started
        after = bench.cost()
        assert status["counts"]["connected"] == len(rows), (status["counts"], status["errorSummary"])
        cpu = after.cpu_seconds - before.cpu_seconds
        return Figure(len(rows) / seconds, cpu / len(rows) * 1000, after.peak_mb)
