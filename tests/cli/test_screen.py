"""What a person sees: a bar that moves on a terminal, and cells as the rows had them."""

import io
import sys

import pytest

from app.cli import screen
from app.text import guard_cell


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def show(monkeypatch: pytest.MonkeyPatch, status: screen.Json, *, is_quiet: bool = False) -> str:
    """Return what a terminal gets while a request is watched."""
    terminal = Terminal()
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", terminal)
        patch.setenv("TERM", "xterm-256color")
        patch.setenv("COLUMNS", "100")
        with screen.progress_bar(is_quiet=is_quiet) as bar:
            bar.show(status)
    return terminal.getvalue()


def test_a_bar_on_a_terminal_says_where_the_request_is(monkeypatch: pytest.MonkeyPatch) -> None:
    told = show(monkeypatch, {"status": "processing", "counts": {"total": 4, "pending": 4}})
    assert "0/4" in told
    assert "processing" in told


def test_a_bar_on_a_terminal_counts_how_rows_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = {"total": 5, "pending": 1, "connected": 2, "failed": 1, "invalid": 1}
    told = show(monkeypatch, {"status": "processing", "counts": counts})
    assert "4/5" in told
    assert "2 connected, 1 failed, 1 invalid" in told


def test_scripts_see_no_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    assert show(monkeypatch, {"counts": {"total": 1, "pending": 0}}, is_quiet=True) == ""


@pytest.mark.parametrize("text", ["=1+1", "'", "'=1", "-", "plain", ""])
def test_cells_are_shown_as_they_were_before_they_were_guarded(text: str) -> None:
    assert screen.advice({"outcome": "connected", "corrections": guard_cell(text)}) == text
