"""I/O: what processes cost, read from /proc (Linux): CPU seconds and memory, of whole families."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Cost:
    """CPU seconds spent so far, and the most memory held at once, in MB."""

    cpu_seconds: float
    peak_mb: float


def list_family(pid: int) -> list[int]:
    """Return a process and all that come of it."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            parent = _read_stat(int(entry.name))
            if parent is not None:
                children.setdefault(parent[0], []).append(int(entry.name))
    found, left = [], [pid]
    while left:
        one = left.pop()
        found.append(one)
        left += children.get(one, [])
    return found


def read_cost(pids: Iterable[int]) -> Cost:
    """Return what these processes and their children have cost so far; children that ended count with their parent."""
    cpu, peak = 0.0, 0.0
    for pid in pids:
        for member in list_family(pid):
            stat = _read_stat(member)
            if stat is not None:
                cpu += stat[1]
                peak += _read_peak_mb(member)
    return Cost(cpu, peak)


def reset_peaks(pids: Iterable[int]) -> None:
    """Let the peaks begin anew (proc(5), clear_refs)."""
    for pid in pids:
        for member in list_family(pid):
            try:
                Path(f"/proc/{member}/clear_refs").write_text("5")
            except OSError:
                continue


def _read_stat(pid: int) -> tuple[int, float] | None:
    """Return a process's parent, and its CPU seconds with those of children that it has buried."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return int(fields[1]), sum(map(int, fields[11:15])) / TICKS


def _read_peak_mb(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), 0.0)
