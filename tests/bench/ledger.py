"""I/O: what queue, ledger and report cost, with rows that end without a dial: POST, status, report, growth."""

import asyncio
import statistics
import time
from collections.abc import Sequence
from typing import Any

from tests.bench.service import CONNECT, Bench, open_bench
from tests.bench.watch import watch_calls

Json = dict[str, Any]


def undialled_rows(count: int) -> list[Json]:
    """Return rows that are judged before dialling: a provider that takes tokens alone, and passwords for it."""
    return [
        {
            "emailServiceProvider": "outlook",
            "fromName": f"Box {number}",
            "smtpEmailAddress": f"box{number}@outlook.com",
            "smtpPassword": f"bench-password-{number}",
            "imapPassword": f"bench-password-{number}",
            "tags": ["bench"],
            "Department": f"department {number % 7}",
        }
        for number in range(1, count + 1)
    ]


async def measure(counts: Sequence[int], rounds: int) -> list[str]:
    """Return lines about requests of so many rows, in turn; medians of `rounds`."""
    runs: dict[int, list[dict[str, float]]] = {count: [] for count in counts}
    async with open_bench({"CHECK_CONCURRENCY": "200"}, is_pinned=False) as bench:
        for _ in range(rounds):
            for count, done in runs.items():
                done.append(await _run(bench, count))
    few, many = min(counts), max(counts)
    growth = statistics.median(
        large["cpu_row"] / small["cpu_row"] for small, large in zip(runs[few], runs[many], strict=True)
    )
    lines = [line for count, done in runs.items() for line in _tell(count, _find_medians(done))]
    return [*lines, f"CPU a row, {many:,} rows against {few:,}: {growth:.2f} x"]


def _find_medians(runs: list[dict[str, float]]) -> dict[str, float]:
    return {name: statistics.median(run[name] for run in runs) for name in runs[0]}


def _tell(count: int, run: dict[str, float]) -> list[str]:
    return [
        f"{count:>7,} rows: POST {run['post']:.2f} s, the slowest other call meanwhile {run['stall'] * 1000:.0f} ms",
        f"{'':8}status {run['status'] * 1000:.1f} ms at the median while they run",
        f"{'':8}report written {run['report']:.2f} s after the last row, read through its link in {run['read']:.2f} s",
        f"{'':8}ledger CPU {run['cpu_row'] * 1000:.2f} ms a row",
        f"{'':8}memory of API and worker {run['post_peak']:.0f} MB during the POST, {run['peak']:.0f} MB after it",
    ]


async def _run(bench: Bench, count: int) -> dict[str, float]:
    rows = undialled_rows(count)
    before = bench.cost()
    bench.reset_peaks()
    async with watch_calls(bench.line.url) as slowest:
        request_id, post = await bench.post(rows)
    post_peak = bench.peak_mb()
    bench.reset_peaks()
    looks: list[float] = []
    closed_at = 0.0
    while True:
        began = time.perf_counter()
        status = await bench.status(request_id)
        if status["counts"]["pending"]:
            looks.append(time.perf_counter() - began)
        elif not closed_at:
            closed_at = began
        if status["isCompleted"]:
            break
        await asyncio.sleep(0.05)
    written = time.perf_counter()
    after = bench.cost()
    async with bench.session.get(status["reportURL"]) as answer:
        size = len(await answer.read())
    assert status["counts"]["failed"] == count and size > count, status["counts"]
    async with bench.session.get(f"{bench.line.url}{CONNECT}/{request_id}/rows?limit=1") as answer:
        assert (await answer.json())["payload"]["total"] == count
    return {
        "post": post,
        "stall": max(slowest),
        "status": statistics.median(looks or [0.0]),
        "report": written - closed_at,
        "read": time.perf_counter() - written,
        "cpu_row": (after.cpu_seconds - before.cpu_seconds) / count,
        "post_peak": post_peak,
        "peak": bench.peak_mb(),
    }
