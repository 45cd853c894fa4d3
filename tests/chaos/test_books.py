"""The audit itself sees what is wrong: a book that always balances would be worth nothing."""

import pytest

from tests.chaos.books import Row, audit, audit_counts, audit_report

ONCE = {("smtp", "good-1@counting.test"): ["ok"], ("imap", "good-1@counting.test"): ["ok"]}


def row(email: str = "good-1@counting.test", outcome: str = "connected", attempts: int = 1, code: str = "ok") -> Row:
    return Row(email, outcome, (code, code), attempts)


def test_a_good_run_balances() -> None:
    assert audit([row()], ONCE) == []


@pytest.mark.parametrize(
    ("wrong", "logins"),
    [
        (row(outcome="failed", code="invalid_credentials"), ONCE),
        (row(outcome="failed", code="interrupted"), ONCE),
        (row(), {**ONCE, ("smtp", "good-1@counting.test"): ["ok", "ok"]}),
        (row(), {("smtp", "good-1@counting.test"): ["ok"]}),
        (row(attempts=3), {key: ["ok"] * 3 for key in ONCE}),
        (row("wrong-1@counting.test"), {(side, "wrong-1@counting.test"): ["no"] for side in ("smtp", "imap")}),
    ],
    ids=["called broken", "given up at once", "logged in twice", "never logged in", "thrice", "let in"],
)
def test_a_fault_is_seen(wrong: Row, logins: dict[tuple[str, str], list[str]]) -> None:
    assert audit([wrong], logins) != []


def test_what_nobody_saw_answered_may_be_tried_once_more() -> None:
    assert audit([row(attempts=2)], {key: ["ok", "ok"] for key in ONCE}) == []


def test_counts_and_report_are_compared_with_the_rows() -> None:
    counts = {"total": 1, "pending": 0, "connected": 1, "failed": 0}
    assert audit_counts(counts, [row()]) == []
    assert audit_counts({**counts, "connected": 0, "failed": 1}, [row()]) != []
    text = "row,emailAddress,outcome\r\n1,good-1@counting.test,connected\r\n"
    assert audit_report([row()], text) == []
    assert audit_report([row(outcome="failed")], text) != []
