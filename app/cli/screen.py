"""I/O: what a person sees of a request: a progress bar, and the outcomes in a table. All of it on standard error
but the table; scripts ask for `--json`."""

import csv
import io
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, Protocol

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from app.text import unguard_cell

MOST_ROWS: Final = 40
"""Larger requests are shown by cause instead of row by row."""

WIDTH: Final = 120
"""Where output goes into a file or a pipe."""

_COLOURS: Final = {"connected": "green", "failed": "red", "invalid": "yellow", "ok": "green"}

Json = dict[str, Any]
Line = dict[str, str]


def console(*, is_error: bool = False) -> Console:
    """Return the terminal, or a wide page where there is none."""
    stream = sys.stderr if is_error else sys.stdout
    return Console(stderr=is_error, width=None if stream.isatty() else WIDTH, highlight=False, soft_wrap=False)


class Bar(Protocol):
    """Shows a status of a request."""

    def show(self, status: Json) -> None: ...


class _Live:
    """A bar that moves, on a terminal."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task = progress.add_task("queued", total=None)

    def show(self, status: Json) -> None:
        counts = status.get("counts") or {}
        total, pending = int(counts.get("total", 0)), int(counts.get("pending", 0))
        words = [f"{counts[name]} {name}" for name in ("connected", "failed", "invalid") if counts.get(name)]
        shown = ", ".join(words) or str(status.get("status", "checking"))
        self._progress.update(self._task, total=total or None, completed=total - pending, description=shown)


class _Lines:
    """A line for every tenth, where there is no terminal."""

    def __init__(self) -> None:
        self._shown = -1

    def show(self, status: Json) -> None:
        counts = status.get("counts") or {}
        total, pending = int(counts.get("total", 0)), int(counts.get("pending", 0))
        tenths = (total - pending) * 10 // total if total else 0
        if tenths > self._shown:
            self._shown = tenths
            filled = "#" * (2 * tenths)
            print(f"[{filled:<20}] {total - pending} of {total} rows done", file=sys.stderr, flush=True)


@contextmanager
def progress_bar(*, is_quiet: bool) -> Iterator[Bar]:
    """Yield what shows progress. `is_quiet`: nothing is shown."""
    if is_quiet:
        yield _Quiet()
    elif not sys.stderr.isatty():
        yield _Lines()
    else:
        columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
        with Progress(*columns, console=console(is_error=True), transient=False) as progress:
            yield _Live(progress)


class _Quiet:
    def show(self, status: Json) -> None:
        """Show nothing."""


def read_report(report: bytes) -> list[Line]:
    """Read a report's lines by its header (CONTRACT section 4)."""
    return list(csv.DictReader(io.StringIO(report.decode("utf-8-sig"), newline="")))


def outcome_table(lines: Sequence[Line]) -> Table:
    """Draw one line for each row of a report."""
    table = Table(pad_edge=False, show_edge=False, row_styles=["", ""])
    table.add_column("row", justify="right", style="dim")
    table.add_column("mailbox", overflow="fold")
    table.add_column("outcome", no_wrap=True)
    table.add_column("SMTP", overflow="fold")
    table.add_column("IMAP", overflow="fold")
    table.add_column("what to do", overflow="fold", ratio=1)
    for line in lines:
        table.add_row(
            line.get("row", ""),
            escape(unguard_cell(line.get("emailAddress", ""))),
            _coloured(line.get("outcome", "")),
            _side(line, "smtp"),
            _side(line, "imap"),
            escape(advice(line)),
        )
    return table


def advice(line: Line) -> str:
    """Return what a report's line says is to be done, each sentence once; for a row that connected, what was mended."""
    if line.get("outcome") == "connected":
        return unguard_cell(line.get("corrections", ""))
    found = dict.fromkeys(unguard_cell(line.get(name, "")) for name in ("errors", "smtpRemedy", "imapRemedy"))
    return " ".join(text for text in found if text and text != "Nothing to do.")


def cause_table(status: Json) -> Table:
    """Draw one line for each cause of failure (the status's errorSummary)."""
    table = Table(pad_edge=False, show_edge=False)
    table.add_column("rows", justify="right")
    for name in ("cause", "side", "host", "what to do"):
        table.add_column(name, overflow="fold", ratio=1 if name == "what to do" else None)
    table.add_column("e.g. row", justify="right")
    for sides in _join_sides(status.get("errorSummary") or []):
        entry, alike = sides[0], {name: _each_once(sides, name) for name in ("protocol", "host", "remedy")}
        texts = [str(entry.get("count") or ""), str(entry.get("code") or ""), ", ".join(alike["protocol"])]
        texts += ["\n".join(alike["host"]), " ".join(alike["remedy"]), str(entry.get("exampleRow") or "")]
        table.add_row(*(escape(text) for text in texts))
    return table


def _join_sides(entries: Sequence[Json]) -> list[list[Json]]:
    """Put together what is one cause to a person: one failure of as many rows, from the same row on, on both sides.

    The answer names each side with its host.
    """
    joined: list[list[Json]] = []
    for entry in entries:
        for sides in joined:
            if len(sides) == 1 and _is_other_side(sides[0], entry):
                sides.append(entry)
                break
        else:
            joined.append([entry])
    return [sorted(sides, key=lambda side: str(side.get("protocol")), reverse=True) for sides in joined]


def _is_other_side(one: Json, other: Json) -> bool:
    is_alike = all(one.get(name) == other.get(name) for name in ("code", "count", "exampleRow", "domain"))
    return is_alike and one.get("protocol") != other.get("protocol")


def _each_once(sides: Sequence[Json], name: str) -> list[str]:
    return list(dict.fromkeys(str(side.get(name) or "") for side in sides))


def summary(counts: Json) -> str:
    """Return the counts of a request as a sentence."""
    names = ("connected", "failed", "invalid", "duplicate", "skipped", "cancelled")
    words = [f"{counts[name]} {name}" for name in names if counts.get(name)]
    return f"{counts.get('total', 0)} rows: {', '.join(words) or 'none'}."


def exit_code(counts: Json) -> int:
    """Return 0 where every mailbox connected, else 1; duplicates and skipped rows are no failures."""
    return 1 if any(counts.get(name) for name in ("failed", "invalid", "cancelled", "pending")) else 0


def _side(line: Line, side: str) -> str:
    code = line.get(f"{side}Code") or line.get(f"{side}Status") or ""
    return _coloured("" if code in {"not_checked", "skipped"} else code)


def _coloured(word: str) -> str:
    colour = _COLOURS.get(word, "")
    return f"[{colour}]{escape(word)}[/]" if colour else escape(word)
