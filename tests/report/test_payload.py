"""The JSON bodies: shapes that scripts rely on, counts that add up, progress that tells the truth."""

from dataclasses import replace
from datetime import timedelta

import pytest

from app.codes import FACTS, Code
from app.model import (
    REJECTIONS_SHOWN,
    Correction,
    Counts,
    Encryption,
    Fault,
    Protocol,
    RequestStatus,
    RowError,
    SideStatus,
    Stage,
)
from app.report.payload import (
    estimate_seconds,
    measure_progress,
    render_accepted,
    render_counts,
    render_request,
    render_row,
    render_side,
    render_single,
    render_status,
)
from tests.report.rows import ACCOUNT, AT, IMAP_FAILED, REQUEST, SMTP_OK, MadeRequest, MadeRow, pending_row

ALL = Counts(total=28, pending=1, connected=2, failed=3, invalid=4, duplicate=5, skipped=6, cancelled=7)
MODE = Correction("smtpEncryption", "starttls", "ssl", "Port 465 is for ssl.")
MODE_AS_JSON = {"field": "smtpEncryption", "given": "starttls", "used": "ssl", "reason": "Port 465 is for ssl."}


def payload(body: dict[str, object]) -> dict[str, object]:
    found = body["payload"]
    assert isinstance(found, dict)
    return found


def test_the_answer_to_connect_says_where_to_look() -> None:
    errors = [RowError(row, "smtpPort", "range", "Too large.") for row in range(1, REJECTIONS_SHOWN + 2)]
    body = render_accepted(REQUEST, replace(ALL, pending=19, invalid=4, duplicate=5), iter(errors), ("Team",))
    assert body["message"] == (
        "The email accounts connection process has been initiated successfully. Please wait while we connect your "
        "email accounts. You may check the status using this API "
        f"`/v1/email-accounts/connect/status/{REQUEST}`."
    )
    found = payload(body)
    rejections = found.pop("rejections")
    assert isinstance(rejections, list)
    assert found == {
        "requestId": str(REQUEST),
        "status": "queued",
        "total": 28,
        "accepted": 19,
        "invalid": 4,
        "duplicate": 5,
        "ignoredColumns": ["Team"],
    }
    assert len(rejections) == REJECTIONS_SHOWN
    assert rejections[0] == {"row": 1, "field": "smtpPort", "code": "range", "message": "Too large."}


def test_counts_are_shown_by_the_names_of_the_outcomes_and_add_up() -> None:
    shown = render_counts(ALL)
    assert list(shown) == [
        *("total", "pending", "connected", "failed", "invalid", "duplicate", "skipped", "cancelled"),
    ]
    assert shown["total"] == sum(count for name, count in shown.items() if name != "total" and isinstance(count, int))


def test_a_running_request() -> None:
    request = MadeRequest(Counts(total=10, pending=6, connected=3, failed=1))
    summary: list[dict[str, object]] = [{"code": "ok"}]
    body = render_status(
        request, now=AT + timedelta(seconds=8), report_url="https://x", error_summary=summary, links={"self": "/"}
    )
    assert payload(body) == {
        "requestId": str(REQUEST),
        "name": "November",
        "kind": "connect",
        "retryOf": None,
        "status": "processing",
        "isCompleted": False,
        "reportProblem": None,
        "reportURL": None,
        "createdAt": "2026-11-21T08:15:30Z",
        "startedAt": "2026-11-21T08:15:30Z",
        "finishedAt": None,
        "expiresAt": "2026-11-21T08:15:30Z",
        "progress": 40,
        "etaSeconds": 12,
        "counts": render_counts(request.counts),
        "errorSummary": summary,
        "links": {"self": "/"},
    }


def test_the_report_opens_once_the_request_is_completed() -> None:
    counts = Counts(total=1, connected=1)
    written = MadeRequest(counts, status=RequestStatus.COMPLETED, finished_at=AT, parent_id=REQUEST)
    found = payload(render_status(written, now=AT, report_url="https://x"))
    assert (found["isCompleted"], found["reportURL"]) == (True, "https://x")
    assert (found["progress"], found["etaSeconds"], found["finishedAt"]) == (100, 0, "2026-11-21T08:15:30Z")
    assert (found["errorSummary"], found["links"], found["retryOf"]) == ([], {}, str(REQUEST))
    unwritten = payload(render_status(MadeRequest(counts), now=AT, report_url="https://x"))
    assert (unwritten["isCompleted"], unwritten["reportURL"], unwritten["progress"]) == (False, None, 99)


def test_a_report_that_cannot_be_written_is_told() -> None:
    held_up = MadeRequest(Counts(total=1, connected=1), report_failed_at=AT)
    told = payload(render_status(held_up, now=AT, report_url=None))
    assert "no room" in str(told["reportProblem"])
    assert (told["isCompleted"], told["status"]) == (False, "processing")
    written = replace(held_up, status=RequestStatus.COMPLETED, finished_at=AT)
    assert payload(render_status(written, now=AT, report_url="https://x"))["reportProblem"] is None


def test_a_request_that_nobody_has_begun() -> None:
    found = render_request(MadeRequest(Counts(total=2, pending=2), RequestStatus.QUEUED, started_at=None))
    assert (found["startedAt"], found["progress"], found["status"]) == (None, 0, "queued")


@pytest.mark.parametrize(
    ("counts", "is_completed", "percent"),
    [
        (Counts(), False, 0),
        (Counts(), True, 100),
        (Counts(total=3, pending=2, connected=1), False, 33),
        (Counts(total=1000, pending=1, failed=999), False, 99),
        (Counts(total=1000, connected=1000), False, 99),
        (Counts(total=1000, connected=1000), True, 100),
    ],
)
def test_progress_is_100_only_when_the_report_is_written(counts: Counts, is_completed: bool, percent: int) -> None:
    assert measure_progress(counts, is_completed=is_completed) == percent


@pytest.mark.parametrize(
    ("counts", "seconds"),
    [
        (Counts(total=10, pending=10), None),
        (Counts(total=10, pending=9, invalid=1), None),
        (Counts(total=10, pending=5, connected=5), 60),
        (Counts(total=10, pending=5, connected=2, failed=3), 60),
        (Counts(total=10, connected=10), 1),
    ],
)
def test_the_time_left_goes_by_the_pace_so_far(counts: Counts, seconds: int | None) -> None:
    assert estimate_seconds(counts, AT, AT + timedelta(minutes=1), is_completed=False) == seconds


def test_the_time_left_is_not_known_before_the_start_and_never_negative() -> None:
    counts = Counts(total=2, pending=1, connected=1)
    assert estimate_seconds(counts, None, AT, is_completed=False) is None
    assert estimate_seconds(counts, AT, AT - timedelta(seconds=5), is_completed=False) == 1


def test_a_rows_result() -> None:
    row = MadeRow(
        external_id="crm-7",
        account_id=ACCOUNT,
        sources={"smtp": {"host": "preset"}},
        corrections=[MODE_AS_JSON],
        extra={"Team": "North"},
        outcome="failed",
        imap=IMAP_FAILED,
    )
    assert render_row(row) == {
        "row": 1,
        "externalId": "crm-7",
        "emailAddress": "sales@example.com",
        "emailServiceProvider": "other",
        "outcome": "failed",
        "accountId": str(ACCOUNT),
        "smtp": render_side(SMTP_OK),
        "imap": render_side(IMAP_FAILED),
        "corrections": [MODE_AS_JSON],
        "errors": [],
        "duplicateOf": None,
        "sources": {"smtp": {"host": "preset"}},
        "attempts": 1,
        "durationMs": 1234,
        "checkedAt": "2026-11-21T08:15:30Z",
        "extra": {"Team": "North"},
    }


def test_a_row_that_is_pending_has_neither_outcome_nor_sides() -> None:
    found = render_row(pending_row())
    assert [found[name] for name in ("outcome", "accountId", "smtp", "imap", "checkedAt")] == [None] * 5


def test_an_invalid_row_names_field_and_reason_with_its_number() -> None:
    error = {"field": "smtpPort", "code": "range", "message": "Too large."}
    found = render_row(replace(pending_row(outcome="invalid", row=7, duplicate_of=3), errors=[error]))
    assert (found["errors"], found["duplicateOf"]) == ([{"row": 7, **error}], 3)


def test_a_side_that_was_never_checked_is_skipped_once_its_row_ended() -> None:
    row = MadeRow(imap=None, imap_host="imap.example.com", imap_port=993, imap_encryption="ssl")
    side = render_row(row)["imap"]
    assert isinstance(side, dict)
    assert (side["status"], side["code"], side["host"]) == ("skipped", "not_checked", "imap.example.com")
    assert (side["port"], side["encryption"], side["fault"]) == (993, "ssl", None)


def test_a_side_tells_all_that_was_seen() -> None:
    assert render_side(replace(SMTP_OK, corrections=(MODE,), warning="all_mail_hidden")) == {
        "status": "ok",
        "code": "ok",
        "title": "Connected",
        "remedy": "",
        "fault": None,
        "retryable": False,
        "stage": None,
        "reply": "235 2.7.0 Authentication succeeded",
        "host": "smtp.example.com",
        "port": 465,
        "encryption": "ssl",
        "address": "192.0.2.1",
        "tlsVersion": "TLSv1.3",
        "certificateNames": ["smtp.example.com"],
        "certificateExpiresAt": "2026-11-21T08:15:30Z",
        "mechanism": "PLAIN",
        "timings": {"resolve": 1, "connect": 2, "tls": 3, "greeting": 4, "auth": 5, "select": None},
        "attempts": 1,
        "logins": 1,
        "corrections": [MODE_AS_JSON],
        "warning": "all_mail_hidden",
        "rule": "",
    }


def test_what_a_failed_side_never_saw_is_null() -> None:
    bare = replace(IMAP_FAILED, host="", port=0, encryption=None, stage=Stage.GREET, attempts=0, logins=0)
    found = render_side(bare)
    assert {name for name, value in found.items() if value is None} == {
        *("port", "encryption", "address", "tlsVersion", "certificateExpiresAt", "mechanism", "warning"),
    }
    assert (found["stage"], found["fault"]) == ("greeting", "user")


@pytest.mark.parametrize("code", Code)
def test_every_code_has_its_title_in_a_side(code: Code) -> None:
    assert render_side(replace(IMAP_FAILED, code=code.value))["title"] == FACTS[code].title


def test_a_single_account_that_was_verified() -> None:
    body = render_single(email="a@example.com", outcome="connected", smtp=SMTP_OK, imap=None, account_id=ACCOUNT)
    assert (body["status"], body["message"]) == (1, "The email account is connected.")
    assert body["smtpConnection"] == body["imapConnection"] == {"error": None}
    found = payload(body)
    assert (found["status"], found["id"], found["emailAddress"]) == (1, str(ACCOUNT), "a@example.com")
    assert found["smtp"] == render_side(SMTP_OK)
    skipped = found["imap"]
    assert isinstance(skipped, dict)
    assert skipped["status"] == "skipped"


def test_a_single_account_that_was_not_verified_says_why_where_saleshandys_scripts_look() -> None:
    error = RowError(1, "smtpPort", "range", "Too large.")
    body = render_single(
        email="a@example.com", outcome="failed", smtp=SMTP_OK, imap=IMAP_FAILED, corrections=[MODE], errors=[error]
    )
    assert body["status"] == 0
    assert body["smtpConnection"] == {"error": None}
    assert body["imapConnection"] == {"error": f"User name or password refused. {IMAP_FAILED.remedy}"}
    found = payload(body)
    assert found["id"] is None
    assert found["corrections"] == [MODE_AS_JSON]
    assert found["errors"] == [{"field": "smtpPort", "code": "range", "message": "Too large."}]


def test_sides_have_the_apis_words() -> None:
    side = replace(
        SMTP_OK, protocol=Protocol.IMAP, status=SideStatus.SKIPPED, encryption=Encryption.NONE, fault=Fault.SERVICE
    )
    found = render_side(side)
    assert (found["status"], found["encryption"], found["fault"]) == ("skipped", "none", "service")
