"""The commands that talk to a service, against one that says what the test wants; flow tests use the real one."""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.cli.conftest import Command, Ended
from tests.client.conftest import Stub, payload, problem
from tests.client.conftest import stub as stub  # noqa: PLC0414 - the fixture

ROOT = Path(__file__).parents[2]
CONNECT = "/v1/email-accounts/connect"
REPORT = (
    "row,externalId,emailAddress,outcome,smtpCode,smtpRemedy,imapCode,imapRemedy,corrections,errors\r\n"
    "1,,info@example.com,connected,ok,,ok,,,\r\n"
    "2,,sales@example.com,failed,invalid_credentials,Type both again.,invalid_credentials,Type both again.,,\r\n"
    "3,,'=x@example.com,invalid,not_checked,,not_checked,,,smtpPort must be a port.\r\n"
)


def status(**counts: int) -> dict[str, Any]:
    names = ("pending", "connected", "failed", "invalid", "duplicate", "skipped", "cancelled")
    whole = {name: counts.get(name, 0) for name in names}
    return {
        "requestId": "r1",
        "status": "processing" if whole["pending"] else "completed",
        "isCompleted": not whole["pending"],
        "progress": 0 if whole["pending"] else 100,
        "counts": {"total": sum(whole.values()), **whole},
        "errorSummary": [],
    }


async def call(stub: Stub, *arguments: str, text: str = "", **environ: str) -> Ended:
    """Run a client command as a process of its own."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("BULK_CONNECT_")}
    given = {"BULK_CONNECT_URL": stub.url, "BULK_CONNECT_API_KEY": "bc_live_x", **environ}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "app",
        *arguments,
        cwd=ROOT,
        env=clean | given,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate(text.encode())
    return Ended(process.returncode or 0, out.decode(), err.decode())


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "spring.csv"
    path.write_text("smtpEmailAddress,smtpPassword\ninfo@example.com,hunter2\n")
    return path


def served(stub: Stub, *statuses: dict[str, Any]) -> None:
    stub.on("POST", CONNECT, payload(requestId="r1", total=3, accepted=2, rejections=[], ignoredColumns=[]))
    stub.on("GET", f"{CONNECT}/status/r1", *(payload(**each) for each in statuses))
    stub.on("GET", f"{CONNECT}/r1/report.csv", web.Response(text=REPORT))


async def test_connect_answers_with_the_request_id(stub: Stub, file: Path) -> None:
    rejections = [{"row": 3, "field": "smtpPort", "message": "smtpPort must be a port."}]
    stub.on(
        "POST", CONNECT, payload(requestId="r1", total=3, accepted=2, rejections=rejections, ignoredColumns=["colour"])
    )
    ended = await call(stub, "connect", str(file))
    assert ended.code == 0
    assert "Request r1: 2 of 3 rows accepted." in ended.out
    assert "row 3: smtpPort must be a port." in ended.out
    assert "colour" in ended.out
    assert "bulk-connect status r1 --wait" in ended.out
    assert stub.asked[0][1] == f"{CONNECT}?name=spring.csv"


async def test_connect_is_1_where_not_one_row_is_accepted(stub: Stub, file: Path) -> None:
    rejections = [{"row": 1, "field": "smtpPort", "message": "smtpPort must be a port."}]
    stub.on("POST", CONNECT, payload(requestId="r1", total=1, accepted=0, invalid=1, rejections=rejections))
    ended = await call(stub, "connect", str(file))
    assert ended.code == 1
    assert "0 of 1 rows accepted." in ended.out
    assert "row 1: smtpPort must be a port." in ended.out
    ended = await call(stub, "connect", str(file), "--json")
    assert (ended.code, json.loads(ended.out)["accepted"]) == (1, 0)


async def test_connect_and_wait_shows_progress_and_outcomes(stub: Stub, file: Path, tmp_path: Path) -> None:
    served(stub, status(pending=3), status(pending=1, connected=1, failed=1), status(connected=1, failed=1, invalid=1))
    report = tmp_path / "out.csv"
    ended = await call(stub, "connect", str(file), "--report", str(report))
    assert ended.code == 1
    assert "2 of 3 rows done" in ended.err
    assert "info@example.com" in ended.out
    assert ended.out.count("Type both again.") == 1
    assert "smtpPort must be a port." in ended.out
    assert " =x@example.com" in ended.out
    assert "3 rows: 1 connected, 1 failed, 1 invalid." in ended.out
    assert report.read_text().startswith("row,externalId")


async def test_all_connected_is_0(stub: Stub, file: Path) -> None:
    served(stub, status(connected=2, duplicate=1))
    assert (await call(stub, "connect", str(file), "--wait")).code == 0


async def test_json_prints_nothing_else(stub: Stub, file: Path) -> None:
    served(stub, status(connected=3))
    ended = await call(stub, "connect", str(file), "--wait", "--json")
    assert json.loads(ended.out)["counts"]["connected"] == 3
    assert ended.err == ""
    assert json.loads((await call(stub, "connect", str(file), "--json")).out)["requestId"] == "r1"


async def test_many_failures_are_shown_by_cause(stub: Stub, file: Path) -> None:
    whole = status(connected=50, failed=50)
    whole["errorSummary"] = [
        {
            "code": "imap_disabled",
            "protocol": "imap",
            "host": "imap.example.com",
            "count": 50,
            "remedy": "Turn it on.",
            "exampleRow": 7,
        }
    ]
    served(stub, whole)
    ended = await call(stub, "status", "r1", "--wait")
    assert ended.code == 1
    assert "imap_disabled" in ended.out
    assert "Turn it on." in ended.out
    once = await call(stub, "status", "r1")
    assert "completed, 100 %" in once.out
    assert "imap_disabled" in once.out
    assert json.loads((await call(stub, "status", "r1", "--json")).out)["requestId"] == "r1"


async def test_a_status_of_a_running_request_is_no_failure(stub: Stub) -> None:
    served(stub, status(pending=1, failed=2))
    assert (await call(stub, "status", "r1")).code == 0


async def test_a_report_is_printed_or_saved(stub: Stub, tmp_path: Path) -> None:
    served(stub)
    assert (await call(stub, "report", "r1")).out.replace("\r", "") == REPORT.replace("\r", "")
    target = tmp_path / "out.csv"
    assert "The report is in" in (await call(stub, "report", "r1", "--out", str(target), "--outcome", "failed")).out
    assert target.read_bytes() == REPORT.encode()
    assert len(json.loads((await call(stub, "report", "r1", "--json")).out)["rows"]) == 3


async def test_a_report_for_excel_is_asked_for(stub: Stub) -> None:
    served(stub)
    await call(stub, "report", "r1", "--bom", "--outcome", "failed")
    assert stub.asked[-1][1] == f"{CONNECT}/r1/report.csv?outcome=failed&bom=true"


async def test_rows_come_from_standard_input_in_any_form(stub: Stub) -> None:
    stub.on("POST", CONNECT, payload(requestId="r1", total=1, accepted=1))
    row = {"smtpEmailAddress": "info@example.com", "smtpPort": 465}
    for text in (
        json.dumps([row]),
        json.dumps(row) + "\n\n",
        "\ufeffsmtpEmailAddress;smtpPort\ninfo@example.com;465\n",
    ):
        ended = await call(stub, "connect", "-", text=text)
        assert ended.code == 0, ended.err
        sent = json.loads(stub.asked[-1][3])
        assert [{name: str(value) for name, value in sent[0].items()}] == [{**row, "smtpPort": "465"}]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[1]", "entry 1 is not an object"),
        ("[", "JSON"),
        ("[]", "no rows"),
        ("", "is empty"),
        ("email,password\n", "has no rows"),
        ("sales@example.com,hunter2\n", "No column of the first line is known"),
        ('email,password\nsales@example.com,"hunter2\n', "Row 1 (line 2 of the sheet) cannot be read at smtpPassword"),
        ('{"a": 1}\n[]', "line 2: not an object"),
        ('{"a": 1}\n{', "line 2"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
async def test_files_that_cannot_be_read_are_told(stub: Stub, text: str, words: str) -> None:
    ended = await call(stub, "connect", "-", text=text)
    assert ended.code == 2
    assert words in ended.err
    assert ended.err.startswith("bulk-connect: ")
    assert stub.asked == []


async def test_a_sheet_with_the_headers_of_another_tool_is_sent_as_fields(stub: Stub) -> None:
    text = "\ufeffEmail;App Password;SMTP Host;Cost centre\nsales@example.com;a,b;smtp.example.com;4711\n"
    await call(stub, "connect", "-", text=text)
    assert json.loads(stub.asked[0][3]) == [
        {
            "smtpEmailAddress": "sales@example.com",
            "imapEmailAddress": "sales@example.com",
            "smtpPassword": "a,b",
            "imapPassword": "a,b",
            "smtpHost": "smtp.example.com",
            "Cost centre": "4711",
        }
    ]


async def test_a_service_that_refuses_is_told_in_its_words(stub: Stub, file: Path) -> None:
    stub.on("POST", CONNECT, problem(401, "The key is unknown."))
    ended = await call(stub, "connect", str(file))
    assert ended.code == 2
    assert ended.err.startswith("bulk-connect: The key is unknown.")
    assert "hunter2" not in ended.err


async def test_a_service_that_is_away_is_3(stub: Stub, file: Path) -> None:
    ended = await call(stub, "connect", str(file), BULK_CONNECT_URL="http://127.0.0.1:9")
    assert ended.code == 3
    assert "cannot be reached" in ended.err
    assert ended.err.count("\n") == 1


def test_a_key_is_needed(command: Command) -> None:
    ended = command("status", "r1")
    assert ended.code == 2
    assert "BULK_CONNECT_API_KEY" in ended.err


def test_an_address_that_is_none_is_usage(command: Command) -> None:
    ended = command("status", "r1", "--url", "nowhere", "--key", "k")
    assert ended.code == 2
    assert "is not the address of a service" in ended.err


def test_a_file_that_is_not_there_is_usage(command: Command) -> None:
    assert command("connect", "nowhere.csv").code == 2
