"""Moments as users read them; cells that no spreadsheet calculates."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.report.cell import guard_cell, render_time, unguard_cell


def test_a_moment_is_written_in_utc_to_the_second() -> None:
    at = datetime(2026, 11, 21, 9, 15, 30, 987_654, tzinfo=timezone(timedelta(hours=1)))
    assert render_time(at) == "2026-11-21T08:15:30Z"
    assert render_time(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)) == "2026-01-02T03:04:05Z"


@pytest.mark.parametrize("mark", ["=", "+", "-", "@", "\t", "\r"])
def test_what_a_spreadsheet_would_calculate_gets_an_apostrophe(mark: str) -> None:
    assert guard_cell(f"{mark}1+1") == f"'{mark}1+1"


@pytest.mark.parametrize("text", ["", "plain", "1+1", "a=b", "'quoted'", "'s Gravenhage", "''"])
def test_other_cells_stay_as_they_are(text: str) -> None:
    assert guard_cell(text) == text == unguard_cell(text)


@given(st.text(alphabet="=+-@\t\r' a1") | st.text())
def test_uploading_a_report_again_takes_off_what_was_put_on(text: str) -> None:
    guarded = guard_cell(text)
    assert guarded[:1] not in {"=", "+", "-", "@", "\t", "\r"}
    assert unguard_cell(guarded) == text
