"""What a person sees of a report is what the rows said, not how a spreadsheet is kept from calculating."""

import pytest

from app.cli import screen
from app.text import guard_cell


@pytest.mark.parametrize("text", ["=1+1", "'", "'=1", "-", "plain", ""])
def test_cells_are_shown_as_they_were_before_they_were_guarded(text: str) -> None:
    assert screen.advice({"outcome": "connected", "corrections": guard_cell(text)}) == text
