"""`check`: the demonstration's whole file, and single mailboxes, with no service."""

import asyncio
import csv
import io
import ipaddress
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from app.cli.direct import DirectRow, check_rows, count, open_rows, render_report
from app.cli.files import read_rows
from app.demo.houses import Town
from app.demo.mailboxes import Mailbox, list_mailboxes, render_csv
from app.demo.servers import open_town
from app.settings import Settings
from tests.cli.conftest import Command, Ended

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
async def town(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Town]:
    async with open_town(tmp_path_factory.mktemp("town")) as opened:
        yield opened


def settings_for(town: Town) -> Settings:
    return Settings(
        allow_networks=(ipaddress.ip_network("127.0.0.0/8"),),
        allow_ports=town.all_ports(),
        dns_servers=(town.name_server,),
        ca_file=str(town.ca_file),
        connect_timeout_seconds=1.0,
        tls_timeout_seconds=1.0,
        greet_timeout_seconds=1.0,
    )


@pytest.fixture(scope="module")
async def checked(town: Town, tmp_path_factory: pytest.TempPathFactory) -> list[DirectRow]:
    """Return the demonstration's file, checked."""
    file = tmp_path_factory.mktemp("file") / "mailboxes.csv"
    file.write_text(render_csv(list_mailboxes(town)))
    rows = open_rows(read_rows(file))
    seen: list[int] = []
    await check_rows(
        rows, settings_for(town), concurrency=50, retry_seconds=8, on_change=lambda: seen.append(count(rows)["pending"])
    )
    assert seen[-1] == 0
    return rows


def pairs(rows: Sequence[DirectRow], town: Town) -> list[tuple[DirectRow, Mailbox]]:
    return list(zip(rows, list_mailboxes(town), strict=True))


async def test_every_row_of_the_demonstration_ends_as_it_must(checked: list[DirectRow], town: Town) -> None:
    wrong = []
    for row, mailbox in pairs(checked, town):
        codes = (row.smtp.code if row.smtp else "", row.imap.code if row.imap else "")
        if (row.outcome, *codes) != (mailbox.outcome, mailbox.smtp, mailbox.imap):
            wrong.append(f"{mailbox.shows}: {row.outcome} {codes}, not {mailbox.outcome} {mailbox.smtp} {mailbox.imap}")
    assert wrong == []


async def test_wrong_modes_are_mended_and_told(checked: list[DirectRow], town: Town) -> None:
    for row, mailbox in pairs(checked, town):
        if mailbox.outcome == "connected":
            assert row.smtp is not None
            assert row.imap is not None
            assert bool(row.smtp.corrections) == bool(row.imap.corrections) == mailbox.is_corrected, mailbox.shows


async def test_what_failed_says_what_to_do_and_never_the_password(checked: list[DirectRow], town: Town) -> None:
    report = render_report(checked)
    for row, mailbox in pairs(checked, town):
        for side in (row.smtp, row.imap):
            if side is not None and side.code != "ok":
                assert side.remedy, mailbox.shows
        password = mailbox.cells["smtpPassword"]
        assert not password or password not in report


async def test_the_report_has_a_line_for_each_row_in_order(checked: list[DirectRow], town: Town) -> None:
    lines = list(csv.DictReader(io.StringIO(render_report(checked))))
    assert [int(line["row"]) for line in lines] == list(range(1, len(checked) + 1))
    assert [line["what this row shows"] for line in lines] == [mailbox.shows for mailbox in list_mailboxes(town)]


async def test_refused_logins_were_made_once(checked: list[DirectRow]) -> None:
    for row in checked:
        for side in (row.smtp, row.imap):
            if side is not None and side.code == "invalid_credentials":
                assert side.logins == 1
    assert [row.attempts for row in checked if row.email == "newsletter@harbour.test"] == [2]


async def run_check(town: Town, *arguments: str, password: str | None = None) -> Ended:
    """Run the command as a process of its own, while the town is open in this one."""
    settings = settings_for(town)
    clean = {name: value for name, value in os.environ.items() if not name.startswith("BULK_CONNECT_")}
    environ = clean | {
        "BULK_CONNECT_ALLOW_NETWORKS": "127.0.0.0/8",
        "BULK_CONNECT_ALLOW_PORTS": ",".join(map(str, settings.allow_ports)),
        "BULK_CONNECT_DNS_SERVERS": town.name_server,
        "BULK_CONNECT_CA_FILE": settings.ca_file,
        "BULK_CONNECT_GREET_TIMEOUT": "1",
        **({"BULK_CONNECT_PASSWORD": password} if password else {}),
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "app",
        "check",
        *arguments,
        cwd=ROOT,
        env=environ,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        stdin=asyncio.subprocess.DEVNULL,
    )
    out, err = await process.communicate()
    return Ended(process.returncode or 0, out.decode(), err.decode())


def own_server(town: Town, mode: str = "ssl") -> list[str]:
    arguments = ["--email", "info@harbour.test"]
    for side in ("smtp", "imap"):
        arguments += [f"--{side}-host", "mail.harbour.test", f"--{side}-encryption", mode]
        arguments += [f"--{side}-port", str(town.ports["own", side, mode])]
    return arguments


async def test_one_mailbox_that_connects_is_0(town: Town) -> None:
    ended = await run_check(town, *own_server(town), password="tide-tables-42")
    assert ended.code == 0, ended.err
    assert "SMTP  ok" in ended.out
    assert "IMAP  ok" in ended.out


async def test_one_mailbox_that_fails_is_1_and_says_why(town: Town) -> None:
    ended = await run_check(town, *own_server(town), password="low-tide-43")
    assert ended.code == 1
    assert "invalid_credentials" in ended.out
    assert "the server said: 535 5.7.8" in ended.out
    assert "low-tide-43" not in ended.out + ended.err


async def test_one_side_alone_as_json(town: Town) -> None:
    ended = await run_check(town, *own_server(town, "starttls"), "--no-imap", "--json", password="tide-tables-42")
    found = json.loads(ended.out)
    assert found["outcome"] == "connected"
    assert found["smtp"]["status"] == "ok"
    assert found["imap"]["status"] == "skipped"


async def test_a_file_writes_its_report(town: Town, tmp_path: Path) -> None:
    file, report = tmp_path / "two.csv", tmp_path / "report.csv"
    file.write_text(render_csv([box for box in list_mailboxes(town) if box.outcome in {"connected", "invalid"}][:2]))
    ended = await run_check(town, str(file), "--report", str(report))
    assert ended.code == 0, ended.err
    assert "2 rows: 2 connected." in ended.out
    assert "of 2 rows done" in ended.err
    assert [line["outcome"] for line in csv.DictReader(io.StringIO(report.read_text()))] == ["connected", "connected"]


async def test_a_row_in_wait_holds_no_slot(town: Town, tmp_path: Path) -> None:
    """One slot, and a first row that must be tried again in five seconds: the others do not wait for it."""
    boxes = {box.shows: box for box in list_mailboxes(town)}
    order = ["nothing listens there", "own server, TLS from the first byte", "Google, with an app password"]
    file = tmp_path / "three.csv"
    file.write_text(render_csv([boxes[name] for name in order]))
    rows = open_rows(read_rows(file))
    ended: list[tuple[float, int]] = []
    began = time.monotonic()
    await check_rows(
        rows,
        settings_for(town),
        concurrency=1,
        retry_seconds=10,
        on_change=lambda: ended.append((time.monotonic() - began, count(rows)["pending"])),
    )
    assert [row.attempts for row in rows] == [2, 1, 1]
    assert ended[1][0] < 3


def test_a_file_or_a_mailbox_must_be_given(command: Command) -> None:
    assert command("check").code == 2
    assert "not both" not in command("check").err


def test_a_bad_address_is_told(command: Command) -> None:
    ended = command("check", "--email", "nobody at all", "--password", "x")
    assert ended.code == 1
    assert "is not a mail address" in ended.out
