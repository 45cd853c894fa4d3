"""What people see of a request's failures: one line for one thing to do."""

from typing import Any

import pytest

from app.cli import screen


def cause(protocol: str, count: int = 50, first_row: int = 7, **more: str) -> dict[str, Any]:
    facts = {"code": "invalid_credentials", "host": f"{protocol}.example.com", "remedy": "Type both again.", **more}
    return {"protocol": protocol, "count": count, "exampleRow": first_row, "domain": None, **facts}


def shown(*causes: dict[str, Any]) -> list[list[str]]:
    """Return the lines of the table, cell by cell."""
    table = screen.cause_table({"errorSummary": list(causes)})
    return [list(cells) for cells in zip(*(map(str, column.cells) for column in table.columns), strict=True)]


def test_what_fails_alike_on_both_sides_is_one_line_that_names_both() -> None:
    assert shown(cause("imap"), cause("smtp")) == [
        ["50", "invalid_credentials", "smtp, imap", "smtp.example.com\nimap.example.com", "Type both again.", "7"]
    ]


def test_one_host_for_both_sides_is_named_once() -> None:
    (line,) = shown(*(cause(protocol, host="mail.example.com") for protocol in ("smtp", "imap")))
    assert line[3] == "mail.example.com"


def test_what_is_to_be_done_differently_on_each_side_is_all_told() -> None:
    (line,) = shown(cause("smtp", remedy="Switch SMTP on."), cause("imap", remedy="Switch IMAP on."))
    assert line[4] == "Switch SMTP on. Switch IMAP on."


@pytest.mark.parametrize(
    "other",
    [
        cause("imap", count=49),
        cause("imap", first_row=8),
        cause("imap", code="imap_disabled"),
        cause("smtp", host="smtp2.example.com"),
    ],
)
def test_what_is_of_other_rows_or_another_cause_has_a_line_of_its_own(other: dict[str, Any]) -> None:
    assert len(shown(cause("smtp"), other)) == 2


def test_a_third_cause_is_not_taken_for_a_side_of_two() -> None:
    found = shown(cause("smtp"), cause("imap"), cause("imap", host="imap2.example.com"))
    assert [line[2] for line in found] == ["smtp, imap", "imap"]
