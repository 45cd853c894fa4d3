"""The main promise: two thousand mailboxes at real servers, every outcome right, one login for each wrong password."""

import asyncio
import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from app.store.db import connect
from tests.flow.caller import CONNECT, Caller
from tests.flow.figures import note
from tests.flow.search import dump_tables, dump_valkey, find_secrets, forms_of, join, read_files
from tests.flow.town import Town
from tests.real.line import Line

UNDISTURBED_SECONDS = 150.0
MORE_AFTER_A_KILL_SECONDS = 30.0

SEEN = ("outcome", "smtpCode", "imapCode", "smtpEncryption", "imapEncryption", "Department")

pytestmark = pytest.mark.timeout(240)


def judge(town: Town, lines: list[dict[str, str]]) -> None:
    """Compare a report with what the servers would have said: the wrong are refused, all others connected."""
    assert [line["row"] for line in lines] == [str(number) for number in range(1, len(town.rows) + 1)]
    assert [line["emailAddress"] for line in lines] == [row["smtpEmailAddress"] for row in town.rows]
    found = [tuple(line[name] for name in SEEN) for line in lines]
    expected = [expect(town, row) for row in town.rows]
    wrong = [(seen, right) for seen, right in zip(found, expected, strict=True) if seen != right]
    assert wrong == []


def expect(town: Town, row: dict[str, Any]) -> tuple[str, ...]:
    """Return what the report should say of a row, as `SEEN` lists it."""
    is_wrong = row["smtpEmailAddress"] in town.wrong
    code = "invalid_credentials" if is_wrong else "ok"
    outcome = "failed" if is_wrong else "connected"
    return (outcome, code, code, row["smtpEncryption"], row["imapEncryption"], row["Department"])


@pytest.fixture(scope="module")
async def undisturbed(town: Town, line: Line, caller: Caller) -> dict[str, Any]:
    """Connect all of them once and tell how it went and how long it took."""
    started = time.monotonic()
    accepted = await caller.post(town.rows)
    answered = time.monotonic() - started
    status = await caller.wait(accepted["requestId"], UNDISTURBED_SECONDS)
    seconds = time.monotonic() - started
    note(f"{len(town.rows)} mailboxes: answered in {answered:.2f} s, all done in {seconds:.1f} s")
    lines = await caller.open_report(status["reportURL"])
    return {"status": status, "seconds": seconds, "lines": lines, "failed": town.failed_logins()}


async def test_every_outcome_is_right(town: Town, undisturbed: dict[str, Any]) -> None:
    status = undisturbed["status"]
    assert status["status"] == "completed_with_errors"
    assert status["counts"]["connected"] == len(town.rows) - len(town.wrong)
    assert status["counts"]["failed"] == len(town.wrong)
    assert {(group["code"], group["protocol"]) for group in status["errorSummary"]} == {
        ("invalid_credentials", "smtp"),
        ("invalid_credentials", "imap"),
    }
    judge(town, undisturbed["lines"])
    accounts = {line["emailAddress"] for line in undisturbed["lines"] if line["accountId"]}
    assert accounts == {row["smtpEmailAddress"] for row in town.rows} - town.wrong


async def test_servers_saw_one_failed_login_for_each_wrong_password_and_no_other(
    town: Town, undisturbed: dict[str, Any]
) -> None:
    once = dict.fromkeys(town.wrong, 1)
    assert undisturbed["failed"] == {"smtp": once, "imap": once}


async def test_a_worker_that_is_killed_in_the_middle_costs_half_a_minute_at_most(
    town: Town, line: Line, caller: Caller, undisturbed: dict[str, Any]
) -> None:
    before = town.failed_logins()
    started = time.monotonic()
    request_id = (await caller.post(town.rows, "?save=none"))["requestId"]
    await caller.wait_for_share(request_id, 0.3, UNDISTURBED_SECONDS)
    line.kill("worker-1")
    lost = await count_rows_of_the_dead(line, request_id)
    assert lost, "nothing was in flight when the worker died"
    most = undisturbed["seconds"] + MORE_AFTER_A_KILL_SECONDS
    status = await caller.wait(request_id, most)
    seconds = time.monotonic() - started
    note(f"with one of two workers killed, {lost} rows in its hands: {seconds:.1f} s")
    assert seconds <= most
    lines = await caller.open_report(status["reportURL"])
    judge(town, lines)
    assert not any(each["accountId"] for each in lines)
    after = town.failed_logins()
    again = {name: after[name] - before[name] for name in after}
    for counts in again.values():
        # Whether the dead worker had logged in, nobody could know: once more, for those it held and for no other.
        assert set(counts) == town.wrong
        assert set(counts.values()) <= {1, 2}
        assert Counter(counts.values())[2] <= lost


async def count_rows_of_the_dead(line: Line, request_id: str) -> int:
    """Count the rows that the killed worker held: those of the worker whose process is gone."""
    alive = {process.pid for process in line.processes.values()}
    link = await connect(line.database_url)
    try:
        found = await link.fetch(
            "SELECT w.pid FROM request_rows r JOIN workers w ON w.id = r.worker_id"
            " WHERE r.request_id = $1 AND r.state = 'checking'",
            request_id,
        )
    finally:
        await link.close()
    return sum(record["pid"] not in alive for record in found)


async def test_a_report_whose_file_is_lost_is_written_again(
    line: Line, caller: Caller, undisturbed: dict[str, Any]
) -> None:
    request_id, url = undisturbed["status"]["requestId"], undisturbed["status"]["reportURL"]
    for path in line.folder.rglob(f"*{request_id}*.csv"):
        path.unlink()
    async with caller.session.get(url) as answer:
        assert answer.status == 503
        assert answer.headers["Retry-After"]
        caller.answers.append(await answer.text())
    status = await caller.wait(request_id, 30)
    assert await caller.open_report(status["reportURL"]) == undisturbed["lines"]


async def test_no_password_is_left_anywhere(
    town: Town, line: Line, caller: Caller, undisturbed: dict[str, Any], redis_url: str
) -> None:
    for path in (
        CONNECT,
        f"{CONNECT}/{undisturbed['status']['requestId']}/rows?limit=1000",
        f"{CONNECT}/{undisturbed['status']['requestId']}/rows?outcome=failed&limit=1000",
        "/v1/email-accounts?limit=1000",
    ):
        await caller.get(path)
    await caller.get_text(f"{CONNECT}/{undisturbed['status']['requestId']}/report.csv?outcome=failed")
    async with caller.session.get(f"{line.url}{CONNECT}/no-such-thing") as answer:
        caller.answers.append(await answer.text())
    places = await asyncio.to_thread(gather_files, line, await find_data_directory(line))
    places |= {f"table {name}": data for name, data in (await dump_tables(line.database_url)).items()}
    places |= {"valkey": await dump_valkey(redis_url), "answers": join(caller.answers)}
    assert {name for name in places if name.startswith("table ")} >= {"table request_rows", "table accounts"}
    assert any(name.endswith(".csv") for name in places)
    found = {name: find_secrets(data, town.passwords) for name, data in places.items()}
    megabytes = sum(map(len, places.values())) / 1e6
    note(f"searched {len(places)} places, {megabytes:.0f} MB, for {len(town.passwords)} passwords")
    assert {name: secrets for name, secrets in found.items() if secrets} == {}


def gather_files(line: Line, data_directory: Path) -> dict[str, bytes]:
    """Read the processes' logs, the reports, and PostgreSQL's and Valkey's files as they lie on disk."""
    return {
        f"{folder.name}/{name}": data
        for folder in (line.folder, data_directory.parent)
        for name, data in read_files(folder)
    }


async def find_data_directory(line: Line) -> Path:
    link = await connect(line.database_url)
    try:
        await link.execute("CHECKPOINT")
        return Path(await link.fetchval("SHOW data_directory"))
    finally:
        await link.close()


def test_the_search_would_find_a_password_in_every_disguise(town: Town) -> None:
    password = next(iter(town.passwords))
    for disguise in forms_of(password):
        assert find_secrets(b"a\0b" + disguise + b"c", town.passwords), disguise
    assert find_secrets(json.dumps({"why": f"535 no {password[-16:]}!"}).encode(), town.passwords)
    assert find_secrets(b"nothing of it in here", town.passwords) == set()
