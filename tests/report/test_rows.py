"""The CSV report: one line a row, in the order given, under a fixed header, safe to open, never with a secret."""

import csv
import io
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.model import Correction, Encryption
from app.report.cell import unguard_cell
from app.report.record import ReportLine, ReportRequest, ReportRow, ReportSide
from app.report.rows import (
    HEADER,
    SKIPPED_WORDS,
    list_corrections_of,
    render_correction,
    render_header,
    render_rows,
    report_file_name,
)
from tests.report.rows import ACCOUNT, AT, IMAP_FAILED, IMAP_OK, REQUEST, SMTP_OK, MadeRow, pending_row

MODE = Correction("smtpEncryption", "starttls", "ssl", "Port 465 is for ssl.")
MODE_AS_TEXT = {"field": "smtpEncryption", "given": "starttls", "used": "ssl", "reason": "Port 465 is for ssl."}
BLANKS = {"field": "imapPassword", "given": "", "used": "", "reason": "Blanks around it were taken off."}


def read(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline=""), strict=True))


def cells(row: MadeRow, columns: tuple[str, ...] = ()) -> dict[str, str]:
    (line,) = read(render_rows([row], columns))
    return dict(zip((*HEADER, *columns), line, strict=True))


def test_the_header_is_the_documented_one() -> None:
    assert render_header() == (
        "row,externalId,emailAddress,outcome,accountId,"
        "smtpStatus,smtpCode,smtpRemedy,smtpReply,smtpHost,smtpPort,smtpEncryption,"
        "imapStatus,imapCode,imapRemedy,imapReply,imapHost,imapPort,imapEncryption,"
        "corrections,errors,attempts,durationMs,checkedAt\r\n"
    )


def test_the_requests_own_columns_follow_the_header_guarded() -> None:
    columns = ("Team", "=cmd", "a,b")
    assert read(render_header(columns))[0][len(HEADER) :] == ["Team", "'=cmd", "a,b"]
    row = MadeRow(extra={"a,b": "x", "Team": 'North "1"', "Other": "unseen"})
    assert read(render_rows([row], columns))[0][len(HEADER) :] == ['North "1"', "", "x"]


def test_a_row_that_connected() -> None:
    row = MadeRow(external_id="crm-7", account_id=ACCOUNT)
    assert render_rows([row]) == (
        f"1,crm-7,sales@example.com,connected,{ACCOUNT},"
        "ok,ok,,235 2.7.0 Authentication succeeded,smtp.example.com,465,ssl,"
        "ok,ok,,235 2.7.0 Authentication succeeded,imap.example.com,993,ssl,"
        ",,1,1234,2026-11-21T08:15:30Z\r\n"
    )


def test_a_row_of_which_one_side_failed_says_why_and_what_to_do() -> None:
    found = cells(MadeRow(outcome="failed", imap=IMAP_FAILED))
    assert (found["outcome"], found["smtpStatus"], found["imapStatus"]) == ("failed", "ok", "failed")
    assert (found["imapCode"], found["imapRemedy"]) == ("invalid_credentials", IMAP_FAILED.remedy)
    assert found["imapReply"] == "NO [AUTHENTICATIONFAILED] Authentication failed."


def test_rows_that_share_a_side_are_written_as_if_they_did_not() -> None:
    bare, given = replace(SMTP_OK, host="", port=0, encryption=None), replace(SMTP_OK)
    rows = [
        MadeRow(smtp=side, outcome=outcome, smtp_host=host, smtp_port=port, smtp_encryption=encryption)
        for side in (bare, given, None)
        for outcome in ("connected", "")
        for host in ("smtp.example.com", "mx.example.com")
        for port in (465, 587)
        for encryption in ("ssl", "starttls")
    ]
    alone = "".join([render_rows([row]) for row in rows])
    assert len(set(alone.split("\r\n"))) > 2 * 8
    assert render_rows(rows) == alone
    assert render_rows(iter(rows * 3)) == alone * 3


def test_sides_that_live_as_long_as_their_row_are_each_written() -> None:
    hosts = [f"smtp{number}.example.com" for number in range(200)]
    lines = read(render_rows(MadeRow(smtp=replace(SMTP_OK, host=host)) for host in hosts))
    assert [line[HEADER.index("smtpHost")] for line in lines] == hosts


def test_what_is_not_known_yet_is_empty() -> None:
    found = cells(pending_row(smtp_host="smtp.example.com", smtp_port=587, smtp_encryption="starttls"))
    assert {name for name, cell in found.items() if cell} == {
        *("row", "emailAddress", "smtpHost", "smtpPort", "smtpEncryption", "attempts", "durationMs"),
    }
    assert found["smtpPort"] == "587"
    assert found["imapPort"] == ""


def test_a_side_that_was_not_asked_for_is_skipped_once_its_row_ended() -> None:
    found = cells(MadeRow(imap=None, imap_wanted=False, imap_host="imap.example.com", imap_port=993))
    assert (found["imapStatus"], found["imapCode"], found["imapHost"]) == ("skipped", "not_checked", "imap.example.com")


def test_settings_that_were_used_stand_before_those_that_were_given() -> None:
    row = MadeRow(smtp_host="typo.example.com", smtp_port=587, smtp_encryption="starttls")
    assert [cells(row)[name] for name in ("smtpHost", "smtpPort", "smtpEncryption")] == [
        "smtp.example.com",
        "465",
        "ssl",
    ]
    unknown = replace(row, smtp=replace(SMTP_OK, host="", port=0, encryption=None))
    assert [cells(unknown)[name] for name in ("smtpHost", "smtpPort")] == ["typo.example.com", "587"]
    assert cells(unknown)["smtpEncryption"] == "starttls"


def test_what_was_mended_is_told_once_whichever_side_tells_it() -> None:
    smtp, imap = replace(SMTP_OK, corrections=(MODE,)), replace(IMAP_OK, corrections=(MODE,))
    row = MadeRow(corrections=(MODE_AS_TEXT, BLANKS), smtp=smtp, imap=imap)
    assert list_corrections_of(row) == [MODE_AS_TEXT, BLANKS]
    assert cells(row)["corrections"] == (
        "smtpEncryption: starttls -> ssl: Port 465 is for ssl; imapPassword: Blanks around it were taken off."
    )
    assert list_corrections_of(MadeRow(smtp=smtp, imap=imap)) == [MODE_AS_TEXT]
    assert cells(MadeRow(smtp=smtp, imap=None))["corrections"].startswith("smtpEncryption")
    assert list_corrections_of(pending_row()) == []


def test_an_empty_setting_is_called_empty() -> None:
    filled = {"field": "imapPort", "given": "", "used": "993", "reason": "The usual port."}
    assert render_correction(filled) == "imapPort: empty -> 993: The usual port."
    assert render_correction({**filled, "given": "993.0", "used": ""}) == "imapPort: 993.0 -> empty: The usual port."


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (MadeRow(outcome="duplicate", duplicate_of=3), "The same mailbox as row 3."),
        (MadeRow(outcome="skipped"), SKIPPED_WORDS),
        (MadeRow(outcome="skipped", errors=[{"message": "Left out."}]), "Left out."),
        (MadeRow(outcome="invalid", errors=[{"message": "No host."}, {"message": "No port."}]), "No host. No port."),
        (MadeRow(outcome="cancelled"), ""),
    ],
)
def test_rows_that_were_not_checked_say_why(row: MadeRow, words: str) -> None:
    assert cells(row)["errors"] == words


def test_rows_stand_in_the_order_given() -> None:
    lines = read(render_rows(MadeRow(row=number) for number in (1, 2, 3)))
    assert [line[0] for line in lines] == ["1", "2", "3"]
    assert render_rows(()) == ""


def test_a_reply_of_several_lines_stays_on_one() -> None:
    row = MadeRow(smtp=replace(SMTP_OK, reply="535-5.7.8 first\n535 5.7.8 second", remedy="One.\r\nTwo."))
    text = render_rows([row])
    assert text.count("\n") == 1
    assert cells(row)["smtpReply"] == "535-5.7.8 first 535 5.7.8 second"
    assert cells(row)["smtpRemedy"] == "One. Two."
    mended = MadeRow(corrections=[{**BLANKS, "given": "a\n"}], errors=[{"message": "No\rhost."}])
    assert render_rows([mended]).count("\n") == 1
    assert cells(mended)["errors"] == "No host."
    assert cells(mended)["corrections"].startswith("imapPassword: a -> empty")


TEXTS = st.text(alphabet="=+-@\t'\",;\r\n é1", max_size=12)


@given(TEXTS, TEXTS, TEXTS, TEXTS)
def test_every_cell_is_safe_to_open_and_reads_back(external: str, reply: str, name: str, extra: str) -> None:
    row = MadeRow(external_id=external, extra={name: extra}, imap=replace(IMAP_OK, reply=reply))
    lines = read(render_header((name,)) + render_rows([row], (name,)))
    assert len(lines) == 2
    for line in lines:
        assert len(line) == len(HEADER) + 1
        assert all(cell[:1] not in {"=", "+", "-", "@", "\t", "\r"} for cell in line)
    assert unguard_cell(lines[1][1]) == external
    assert unguard_cell(lines[1][-1]) == extra


@given(TEXTS, TEXTS, TEXTS)
def test_cells_are_quoted_as_the_csv_module_quotes_them(external: str, host: str, extra: str) -> None:
    rows = [
        MadeRow(external_id=external, extra={"Team": extra}, smtp=side) for side in (replace(SMTP_OK, host=host), None)
    ]
    text = render_header(("Team",)) + render_rows(rows, ("Team",))
    written = io.StringIO()
    csv.writer(written, lineterminator="\r\n").writerows(read(text))
    assert text == written.getvalue()


def test_the_file_is_named_after_the_request_and_the_moment() -> None:
    name = report_file_name(REQUEST, AT)
    assert name == f"Email-Account_Bulk_Report_{REQUEST}_1795248930999.csv"


def test_encryption_is_written_in_the_apis_words() -> None:
    row = MadeRow(smtp=replace(SMTP_OK, encryption=Encryption.NONE))
    assert cells(row)["smtpEncryption"] == "none"


def test_a_report_is_not_even_given_a_secret() -> None:
    names = {name for shape in (ReportLine, ReportSide, ReportRow, ReportRequest) for name in dir(shape)}
    assert {"email", "reply"} <= names
    assert [name for name in names if re.search("password|secret|token|credential|user_?name|sealed", name)] == []
