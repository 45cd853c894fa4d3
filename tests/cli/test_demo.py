"""`demo`: the whole service from the file to the report; every line that it prints is right, and nothing stays."""

import csv
import os
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.demo.houses import Town
from app.demo.mailboxes import list_mailboxes

ROOT = Path(__file__).parents[2]
MAILBOXES = list_mailboxes(Town(defaultdict(lambda: 1), 2, 3, 4, "", Path()))
"""Ports are another matter each time; how each mailbox must end is not."""


@dataclass(frozen=True)
class Shown:
    """What a demonstration left: its words, its report, and its temporary files."""

    out: str
    err: str
    report: list[dict[str, str]]
    leftovers: list[Path]


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    clean = {name: text for name, text in os.environ.items() if not name.startswith("BULK_CONNECT_")}
    folder = tmp_path_factory.mktemp("demo")
    # Not pytest's folder: the names of sockets in it would be too long.
    passing = Path(tempfile.mkdtemp(prefix="demo-"))
    try:
        ended = subprocess.run(
            [sys.executable, "-m", "app", "demo", "--report", str(folder / "report.csv")],
            # What is set for the real service is none of the demonstration's.
            env=clean | {"TMPDIR": str(passing), "BULK_CONNECT_PORT": "1", "DATABASE_URL": "postgresql://nowhere"},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 0, ended.stderr
        with (folder / "report.csv").open(newline="") as file:
            report = list(csv.DictReader(file))
        yield Shown(ended.stdout, ended.stderr, report, list(passing.iterdir()))
    finally:
        shutil.rmtree(passing)


def read_table(out: str) -> list[list[str]]:
    """Return the cells of each row of the printed table, folded ones put together."""
    rows: list[list[str]] = []
    for line in out.splitlines():
        cells = [cell.strip() for cell in line.split("│")]
        if len(cells) != 6:
            continue
        if cells[0].isdigit():
            rows.append(cells)
        else:
            rows[-1] = [f"{above}{cell}" for above, cell in zip(rows[-1], cells, strict=True)]
    return rows


def test_every_line_of_the_table_is_right(shown: Shown) -> None:
    expected = [
        [str(number), box.cells["smtpEmailAddress"], box.outcome, box.smtp, box.imap]
        for number, box in enumerate(MAILBOXES, 1)
    ]
    table = read_table(shown.out)
    assert [cells[:5] for cells in table] == expected
    assert all(cells[5] for cells in table if cells[2] != "connected")


def test_the_report_says_the_same(shown: Shown) -> None:
    codes = ("outcome", "smtpCode", "imapCode")
    expected = [(box.outcome, box.smtp or "not_checked", box.imap or "not_checked") for box in MAILBOXES]
    assert [tuple(line[name] for name in codes) for line in shown.report] == expected
    assert [line["what this row shows"] for line in shown.report] == [box.shows for box in MAILBOXES]
    connected = [line for line in shown.report if line["outcome"] == "connected"]
    assert all(line["accountId"] for line in connected)


def test_progress_is_shown_and_the_report_is_named(shown: Shown) -> None:
    assert f"{len(MAILBOXES)} of {len(MAILBOXES)} rows done" in shown.err
    assert "report.csv; everything is stopped." in shown.out


def test_nothing_is_left_but_the_report(shown: Shown) -> None:
    assert shown.leftovers == []


def test_the_readme_counts_the_mailboxes() -> None:
    assert f"connects a file of {len(MAILBOXES)} mailboxes" in (ROOT / "README.md").read_text()
