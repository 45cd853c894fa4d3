"""What an attempt came to: every kind of end, on one side and on both."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any
from uuid import uuid4

import pytest
from msgspec import structs

from app.checked import SideResult
from app.codes import Code
from app.model import Encryption, Fault, Outcome, Protocol, RowState, Save, Secret, Secrets, Side
from app.store.checks import ClaimedRow
from app.verdict import Progress, RowVerdict, SideVerdict
from jobs.decide import (
    MOST_SPREAD_SECONDS,
    Terms,
    account_status,
    decide,
    hand_back,
    interrupted_result,
    is_interrupted,
    is_kept,
    make_account,
)
from tests.store.ledger import side_result

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
TERMS = Terms(retry_until=NOW + timedelta(minutes=15), now=NOW, jitter=0.5)
SIDE = Side(True, "info@example.com", "info", "mail.example.com", 465, Encryption.SSL)
SMTP, IMAP = Protocol.SMTP, Protocol.IMAP


def claim(**changes: Any) -> ClaimedRow:
    """Return a row at its first attempt, both sides open, the logins counted in advance."""
    row = ClaimedRow(
        request_id=uuid4(),
        row=1,
        attempt=1,
        email="info@example.com",
        external_id="x1",
        provider="",
        pace_key="example.com",
        smtp=SIDE,
        imap=SIDE,
        sealed=b"",
        smtp_is_token=False,
        imap_is_token=False,
        details={"tags": ["a"]},
        smtp_open=True,
        imap_open=True,
        smtp_login_count=1,
        imap_login_count=1,
        smtp_unanswered_count=1,
        imap_unanswered_count=1,
        duration_ms=0,
    )
    return replace(row, **changes)


def verdict(protocol: Protocol, code: Code, *, was_sent: bool = True, is_answered: bool = True) -> SideVerdict:
    return SideVerdict(side_result(protocol, code.value), SIDE, sent_credentials=was_sent, is_answered=is_answered)


def both(smtp: Code, imap: Code, **how: bool) -> RowVerdict:
    return RowVerdict(verdict(SMTP, smtp, **how), verdict(IMAP, imap, **how))


def test_a_row_whose_sides_are_both_ok_is_connected() -> None:
    record = decide(claim(), both(Code.OK, Code.OK), {}, TERMS, 120)
    assert (record.state, record.outcome, record.due_at) == (RowState.DONE, Outcome.CONNECTED, None)
    assert (record.smtp_open, record.imap_open) == (False, False)
    assert (record.smtp_login_back, record.imap_login_back) == (0, 0)
    assert (record.smtp_answered, record.imap_answered) == (1, 1)
    assert record.duration_ms == 120
    assert [(side.protocol, side.attempts, side.logins) for side in record.sides] == [(SMTP, 1, 1), (IMAP, 1, 1)]


@pytest.mark.parametrize(("smtp", "imap"), [(Code.OK, Code.INVALID_CREDENTIALS), (Code.INVALID_CREDENTIALS, Code.OK)])
def test_a_row_with_one_refused_side_has_failed_and_is_not_tried_again(smtp: Code, imap: Code) -> None:
    record = decide(claim(), both(smtp, imap), {}, TERMS, 1)
    assert (record.state, record.outcome) == (RowState.DONE, Outcome.FAILED)


def test_one_side_that_may_pass_keeps_the_row_waiting_and_only_that_side_open() -> None:
    record = decide(claim(), both(Code.INVALID_CREDENTIALS, Code.TOO_MANY_CONNECTIONS), {}, TERMS, 1)
    assert (record.state, record.outcome) == (RowState.WAITING, None)
    assert (record.smtp_open, record.imap_open) == (False, True)
    assert record.due_at == NOW + timedelta(seconds=5)
    assert [side.code for side in record.sides] == ["invalid_credentials", "too_many_connections"]


def test_the_host_that_asked_for_more_patience_gets_it() -> None:
    record = decide(claim(), both(Code.TOO_MANY_CONNECTIONS, Code.RATE_LIMITED), {}, TERMS, 1)
    assert record.due_at == NOW + timedelta(seconds=20)


def test_after_the_retry_budget_nothing_waits() -> None:
    late = replace(TERMS, retry_until=NOW + timedelta(seconds=1))
    record = decide(claim(), both(Code.RATE_LIMITED, Code.OK), {}, late, 1)
    assert (record.state, record.outcome) == (RowState.DONE, Outcome.FAILED)


def test_a_dial_that_ended_before_the_login_gives_it_back() -> None:
    record = decide(claim(), both(Code.CONNECTION_TIMEOUT, Code.CONNECTION_TIMEOUT, was_sent=False), {}, TERMS, 1)
    assert (record.smtp_login_back, record.imap_login_back) == (1, 1)
    assert (record.smtp_answered, record.imap_answered) == (1, 1)
    assert [side.logins for side in record.sides] == [0, 0]


def test_a_login_without_an_answer_stays_counted_as_such() -> None:
    record = decide(claim(), both(Code.AUTH_NO_ANSWER, Code.OK, is_answered=False), {}, TERMS, 1)
    assert (record.smtp_answered, record.smtp_login_back) == (0, 0)
    assert record.state is RowState.WAITING


def test_two_logins_without_an_answer_are_enough() -> None:
    row = claim(attempt=2, imap_open=False, smtp_login_count=2, smtp_unanswered_count=2)
    unanswered = verdict(SMTP, Code.AUTH_NO_ANSWER, is_answered=False)
    record = decide(row, RowVerdict(unanswered, None), {IMAP: side_result(IMAP)}, TERMS, 1)
    assert (record.state, record.outcome) == (RowState.DONE, Outcome.FAILED)


def test_a_side_settled_before_counts_for_the_outcome_and_is_not_written_again() -> None:
    row = claim(attempt=2, smtp_open=False)
    good = decide(row, RowVerdict(None, verdict(IMAP, Code.OK)), {SMTP: side_result(SMTP)}, TERMS, 1)
    assert good.outcome is Outcome.CONNECTED
    assert [side.protocol for side in good.sides] == [IMAP]
    assert (good.smtp_login_back, good.smtp_answered) == (0, 0)
    refused = {SMTP: side_result(SMTP, "invalid_credentials")}
    assert decide(row, RowVerdict(None, verdict(IMAP, Code.OK)), refused, TERMS, 1).outcome is Outcome.FAILED


def test_a_row_of_which_one_side_was_not_wanted_needs_the_other_only() -> None:
    row = claim(imap_open=False, imap=structs.replace(SIDE, wanted=False))
    assert decide(row, RowVerdict(verdict(SMTP, Code.OK), None), {}, TERMS, 1).outcome is Outcome.CONNECTED


def test_logins_are_used_up_after_two_that_nobody_answered_or_three_in_all() -> None:
    assert not is_interrupted(claim(smtp_unanswered_count=2), SMTP)
    assert is_interrupted(claim(smtp_unanswered_count=3), SMTP)
    assert not is_interrupted(claim(smtp_unanswered_count=3), IMAP)
    assert not is_interrupted(claim(imap_login_count=3), IMAP)
    assert is_interrupted(claim(imap_login_count=4), IMAP)


def test_a_side_that_found_no_turn_comes_back_when_there_may_be_one_and_was_no_try() -> None:
    record = decide(claim(), RowVerdict(None, None, {SMTP: 4.0, IMAP: 2.0}), {}, TERMS, 1)
    assert (record.state, record.due_at, record.is_put_off) == (RowState.WAITING, NOW + timedelta(seconds=5), 1)
    assert (record.smtp_open, record.imap_open, record.smtp_login_back, record.imap_answered) == (True, True, 1, 1)
    half = decide(claim(), RowVerdict(verdict(SMTP, Code.OK), None, {IMAP: 2.0}), {}, TERMS, 1)
    assert (half.state, half.smtp_open, half.imap_open, half.is_put_off) == (RowState.WAITING, False, True, 0)
    tries = decide(claim(attempt=5, put_off_count=3), both(Code.OK, Code.OK), {}, TERMS, 1)
    assert [side.attempts for side in tries.sides] == [2, 2]


def test_who_waits_for_a_host_that_is_shut_comes_back_soon_after_it_opens() -> None:
    late = replace(TERMS, jitter=1.0)
    record = decide(claim(), RowVerdict(None, None, {SMTP: 600.0}), {}, late, 1)
    assert record.due_at == NOW + timedelta(seconds=600 + MOST_SPREAD_SECONDS / 2)


def test_an_interrupted_side_is_our_fault_and_ends() -> None:
    result = interrupted_result(IMAP, SIDE)
    assert (result.code, result.fault, result.is_retryable, result.host) == (
        "interrupted",
        Fault.SERVICE,
        True,
        "mail.example.com",
    )
    row = claim(attempt=3, smtp_open=False, imap_login_count=3, imap_unanswered_count=3)
    given_up = SideVerdict(result, SIDE, sent_credentials=False, is_answered=True)
    record = decide(row, RowVerdict(None, given_up), {SMTP: side_result(SMTP)}, TERMS, 1)
    assert (record.state, record.outcome, record.imap_login_back) == (RowState.DONE, Outcome.FAILED, 1)
    assert record.sides[0].logins == 2


def test_a_check_cut_short_before_any_login_counts_none() -> None:
    record = hand_back(claim(), Progress(), {}, TERMS, 5)
    assert (record.state, record.outcome, record.due_at) == (RowState.QUEUED, None, None)
    assert (record.smtp_open, record.imap_open) == (True, True)
    assert (record.smtp_login_back, record.imap_login_back) == (1, 1)
    assert (record.smtp_answered, record.imap_answered) == (1, 1)
    assert record.sides == ()


@pytest.mark.parametrize("sent", [{SMTP}, {IMAP}, {SMTP, IMAP}])
def test_a_check_cut_short_after_a_login_counts_that_login(sent: set[Protocol]) -> None:
    record = hand_back(claim(), Progress(sent=sent), {}, TERMS, 5)
    assert (record.smtp_login_back, record.smtp_answered) == ((0, 0) if SMTP in sent else (1, 1))
    assert (record.imap_login_back, record.imap_answered) == ((0, 0) if IMAP in sent else (1, 1))


@pytest.mark.parametrize("code", [Code.OK, Code.INVALID_CREDENTIALS])
@pytest.mark.parametrize("through", [SMTP, IMAP])
def test_a_side_that_was_through_is_kept_when_the_other_is_cut_short(through: Protocol, code: Code) -> None:
    record = hand_back(claim(), Progress({through: verdict(through, code)}), {}, TERMS, 5)
    assert (record.state, record.outcome) == (RowState.QUEUED, None)
    assert [(side.protocol, side.code) for side in record.sides] == [(through, code.value)]
    assert (record.smtp_open, record.imap_open) == (through is not SMTP, through is not IMAP)


def test_a_side_that_was_told_later_makes_the_row_wait_also_when_the_other_is_cut_short() -> None:
    record = hand_back(claim(), Progress({SMTP: verdict(SMTP, Code.RATE_LIMITED)}, {IMAP}), {}, TERMS, 5)
    assert (record.state, record.due_at) == (RowState.WAITING, NOW + timedelta(seconds=20))
    assert (record.smtp_open, record.imap_open) == (True, True)
    assert (record.imap_login_back, record.imap_answered) == (0, 0)


def test_a_side_settled_before_stays_settled_when_the_open_one_is_cut_short() -> None:
    row = claim(attempt=2, smtp_open=False)
    record = hand_back(row, Progress(sent={IMAP}), {SMTP: side_result(SMTP)}, TERMS, 5)
    assert (record.smtp_open, record.imap_open) == (False, True)
    assert (record.smtp_login_back, record.smtp_answered) == (0, 0)


def test_accounts_come_of_rows_that_ended_as_the_request_wishes() -> None:
    good = decide(claim(), both(Code.OK, Code.OK), {}, TERMS, 1)
    bad = decide(claim(), both(Code.OK, Code.INVALID_CREDENTIALS), {}, TERMS, 1)
    open_still = decide(claim(), both(Code.OK, Code.RATE_LIMITED), {}, TERMS, 1)
    kept = {
        (name, save): is_kept(record, save)
        for (name, record), save in product({"good": good, "bad": bad, "open": open_still}.items(), Save)
    }
    assert {case for case, is_so in kept.items() if is_so} == {
        ("good", Save.CONNECTED),
        ("good", Save.ALL),
        ("bad", Save.ALL),
    }


def test_an_account_bears_the_settings_that_worked() -> None:
    corrected = structs.replace(SIDE, port=587, encryption=Encryption.STARTTLS)
    worked = SideVerdict(side_result(SMTP), corrected, sent_credentials=True, is_answered=True)
    row, space = claim(), uuid4()
    results = {SMTP: side_result(SMTP), IMAP: side_result(IMAP, "imap_disabled")}
    account = make_account(space, row, RowVerdict(worked, None), results, b"sealed", Secrets(Secret("a"), Secret("b")))
    assert (account.workspace_id, account.email, account.smtp, account.imap) == (space, row.email, corrected, SIDE)
    assert (account.smtp_code, account.imap_code) == ("ok", "imap_disabled")
    one_side = make_account(space, row, RowVerdict(None, None), {SMTP: side_result(SMTP)}, None, Secrets())
    assert (one_side.smtp, one_side.imap_code) == (SIDE, "not_checked")


def test_the_first_side_that_failed_decides_the_status() -> None:
    def status(smtp: SideResult, imap: SideResult) -> str:
        return account_status({SMTP: smtp, IMAP: imap})

    good = side_result(IMAP)
    assert status(side_result(SMTP), good) == "OK"
    assert status(side_result(SMTP, "invalid_credentials"), good) == "INVALID_CREDENTIALS"
    assert status(side_result(SMTP), side_result(IMAP, "dns_not_found")) == "CONNECTION_IMPOSSIBLE"
    assert status(side_result(SMTP), replace(good, warning="all_mail_hidden")) == "NO_ACCESS_TO_ALL_MAIL"
