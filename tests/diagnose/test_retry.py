"""When a side is tried again: never after a no, a few times after a not now, all within the budget."""

from datetime import UTC, datetime, timedelta

import pytest

from app.codes import FACTS, Code
from app.diagnose.retry import (
    LONGEST_WAIT_SECONDS,
    MOST_DIALS,
    MOST_DIALS_AT_KNOWN,
    MOST_LOGINS,
    MOST_UNANSWERED,
    next_attempt_at,
)

NOW = datetime(2026, 11, 21, tzinfo=UTC)


def ask(
    code: Code,
    *,
    attempt: int = 1,
    logins: int = 0,
    unanswered: int = 0,
    sent: bool = False,
    jitter: float = 0.5,
    budget: timedelta = timedelta(hours=1),
) -> datetime | None:
    return next_attempt_at(
        code,
        attempt=attempt,
        login_count=logins,
        unanswered_count=unanswered,
        sent_credentials=sent,
        now=NOW,
        retry_until=NOW + budget,
        jitter=jitter,
    )


@pytest.mark.parametrize("code", [code for code in Code if not FACTS[code].is_retryable])
def test_what_does_not_pass_by_itself_is_never_tried_again(code: Code) -> None:
    assert ask(code) is None
    assert ask(code, sent=True, logins=1) is None


@pytest.mark.parametrize("code", [Code.RATE_LIMITED, Code.TEMPORARY_SERVER_ERROR, Code.TOO_MANY_CONNECTIONS])
def test_a_server_that_said_later_gets_three_logins_in_all(code: Code) -> None:
    assert ask(code, sent=True, logins=MOST_LOGINS - 1) is not None
    assert ask(code, sent=True, logins=MOST_LOGINS) is None


def test_a_login_whose_answer_nobody_saw_gets_one_more() -> None:
    assert ask(Code.AUTH_NO_ANSWER, sent=True, logins=1, unanswered=1) is not None
    assert ask(Code.AUTH_NO_ANSWER, sent=True, logins=2, unanswered=MOST_UNANSWERED) is None


def test_a_dial_that_failed_is_tried_five_times() -> None:
    assert ask(Code.CONNECTION_TIMEOUT, attempt=MOST_DIALS - 1) is not None
    assert ask(Code.CONNECTION_TIMEOUT, attempt=MOST_DIALS) is None


@pytest.mark.parametrize("code", [Code.CONNECTION_REFUSED, Code.DNS_NOT_FOUND])
def test_a_port_or_a_name_that_is_not_there_is_looked_for_once_more(code: Code) -> None:
    assert ask(code, attempt=1) is not None
    assert ask(code, attempt=2) is None
    assert ask(code, attempt=1, sent=True) is None


def test_nothing_is_tried_after_the_budget() -> None:
    assert ask(Code.RATE_LIMITED, budget=timedelta(seconds=30)) is not None
    assert ask(Code.RATE_LIMITED, budget=timedelta(seconds=1)) is None


@pytest.mark.parametrize("code", [Code.CONNECTION_REFUSED, Code.CONNECTION_TIMEOUT, Code.CONNECTION_CLOSED])
def test_a_host_that_answers_others_is_tried_more_often_and_for_longer(code: Code) -> None:
    def ask_known(attempt: int) -> datetime | None:
        return next_attempt_at(
            code,
            attempt=attempt,
            login_count=0,
            unanswered_count=0,
            sent_credentials=False,
            now=NOW,
            retry_until=NOW,
            jitter=0.5,
            is_host_known=True,
        )

    assert ask(code, budget=timedelta(0)) is None
    assert ask_known(MOST_DIALS + 1) is not None
    assert ask_known(MOST_DIALS_AT_KNOWN) is None


def test_a_host_that_says_too_much_is_given_more_tries_within_the_budget() -> None:
    assert ask(Code.TOO_MANY_CONNECTIONS, attempt=MOST_DIALS + 1) is not None
    assert ask(Code.TOO_MANY_CONNECTIONS, attempt=MOST_DIALS_AT_KNOWN) is None
    assert ask(Code.TOO_MANY_CONNECTIONS, attempt=MOST_DIALS + 1, budget=timedelta(seconds=1)) is None


def test_waits_grow_but_not_without_end() -> None:
    waits = []
    for attempt in range(1, 40):
        due = ask(Code.IP_BLOCKED, attempt=attempt, sent=True, logins=1)
        assert due is not None
        waits.append((due - NOW).total_seconds())
    assert waits == sorted(waits)
    assert waits[0] == 30
    assert waits[-1] == LONGEST_WAIT_SECONDS


def test_jitter_spreads_what_would_come_back_at_one_moment() -> None:
    early, late = ask(Code.RATE_LIMITED, jitter=0.0), ask(Code.RATE_LIMITED, jitter=1.0)
    assert early is not None
    assert late is not None
    assert (early - NOW, late - NOW) == (timedelta(seconds=15), timedelta(seconds=25))
