"""Rows that a worker really checked: how they end, how they are grouped, what is kept of them."""

import csv
import io
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from yarl import URL

from app.api.context import Api
from app.demo.houses import CLOSED_HOST, GOOGLE, MICROSOFT, OWN, Town
from app.settings import Settings
from tests.api.asking import ACCOUNTS, CONNECT, STATUS, Client, Service, ask, enter, mailbox, serving
from tests.real.line import Line

PASSWORDS = ("tide-tables-42", "wrong horse", "spring-2026", "Winter!2026")


@pytest.fixture(scope="module")
async def ended(running: tuple[Api, Client], worker: Line, town: Town) -> AsyncIterator[tuple[Service, Any]]:
    """Yield the caller of a request that ended in many ways, and its status."""
    service = await enter(*running)
    request_id = await service.connected(
        mailbox(town, OWN, "info@harbour.test", "tide-tables-42", externalId="crm-1", tags=["sales"], colour="blue"),
        mailbox(town, OWN, "support@harbour.test", "wrong horse"),
        mailbox(town, OWN, "quotes@harbour.test", "wrong horse"),
        mailbox(town, GOOGLE, "team@northwind.test", "spring-2026"),
        mailbox(town, MICROSOFT, "sales@contoso.test", "Winter!2026"),
        mailbox(town, OWN, "office@harbour.test", "tide-tables-42", imap=False),
        mailbox(town, OWN, "archive@harbour.test", "tide-tables-42", smtpHost=CLOSED_HOST, smtpPort=town.closed_port),
        mailbox(town, OWN, "info@harbour.test", "tide-tables-42"),
        {"smtpEmailAddress": "nobody"},
    )
    yield service, await service.finished(request_id)


async def list_rows(service: Service, status: Any, **params: str) -> list[Any]:
    answer = await service.get(f"{CONNECT}/{status['requestId']}/rows", params=params)
    return list(answer.payload["items"])


async def test_the_books_balance_at_the_end(ended: tuple[Service, Any]) -> None:
    _, status = ended
    counts = dict(status["counts"])
    assert counts["total"] == 9 == sum(counts.values()) - counts["total"]
    assert (counts["connected"], counts["failed"], counts["invalid"], counts["duplicate"]) == (2, 5, 1, 1)
    assert (status["status"], status["progress"], status["etaSeconds"]) == ("completed_with_errors", 100, 0)
    assert status["startedAt"] <= status["finishedAt"]


async def test_failures_are_grouped_by_cause_the_largest_first(ended: tuple[Service, Any]) -> None:
    _, status = ended
    causes = [(entry["code"], entry["protocol"], entry["count"]) for entry in status["errorSummary"]]
    assert causes[0][0] == "invalid_credentials"
    assert causes[0][2] == 2
    assert [count for *_, count in causes] == sorted((count for *_, count in causes), reverse=True)
    assert {"app_password_required", "smtp_auth_disabled", "connection_refused"} <= {code for code, *_ in causes}
    assert all(entry["remedy"] and entry["title"] and entry["exampleRow"] for entry in status["errorSummary"])


async def test_a_row_tells_the_whole_diagnosis_of_both_sides(ended: tuple[Service, Any]) -> None:
    rows = await list_rows(*ended)
    good, wrong = rows[0], rows[1]
    assert (good["outcome"], good["smtp"]["code"], good["imap"]["code"]) == ("connected", "ok", "ok")
    assert (good["externalId"], good["extra"], good["smtp"]["host"]) == ("crm-1", {"colour": "blue"}, OWN.smtp_host)
    assert good["smtp"]["tlsVersion"].startswith("TLS")
    assert good["smtp"]["certificateNames"] == ["mail.harbour.test"]
    assert set(good["smtp"]["timings"]) == {"resolve", "connect", "tls", "greeting", "auth", "select"}
    assert good["accountId"]
    assert (wrong["outcome"], wrong["smtp"]["fault"], wrong["smtp"]["stage"]) == ("failed", "user", "auth")
    assert "535" in wrong["smtp"]["reply"]
    assert (wrong["smtp"]["logins"], wrong["imap"]["logins"], wrong["accountId"]) == (1, 1, None)


async def test_one_side_may_work_and_the_other_not(ended: tuple[Service, Any]) -> None:
    rows = await list_rows(*ended)
    assert (rows[4]["smtp"]["code"], rows[4]["imap"]["code"]) == ("smtp_auth_disabled", "ok")
    assert (rows[5]["outcome"], rows[5]["imap"]["status"]) == ("connected", "skipped")
    assert (rows[6]["smtp"]["code"], rows[6]["imap"]["status"]) == ("connection_refused", "ok")


async def test_rows_are_found_by_their_code(ended: tuple[Service, Any]) -> None:
    service, status = ended
    assert [entry["row"] for entry in await list_rows(service, status, code="invalid_credentials")] == [2, 3]
    assert [entry["row"] for entry in await list_rows(service, status, code="ok", outcome="failed")] == [5, 7]
    path = f"{CONNECT}/{status['requestId']}/rows"
    assert (await service.get(path, params={"code": "ok", "limit": "1"})).payload["total"] == 4


async def test_the_finished_report_opens_without_a_key(running: tuple[Api, Client], ended: tuple[Service, Any]) -> None:
    _, status = ended
    answer = await ask(running[1], "GET", str(URL(status["reportURL"]).relative()))
    lines = list(csv.DictReader(io.StringIO(answer.text)))
    assert len(lines) == 9
    assert [line["outcome"] for line in lines[:3]] == ["connected", "failed", "failed"]


async def test_nothing_that_is_told_holds_a_password(running: tuple[Api, Client], ended: tuple[Service, Any]) -> None:
    service, status = ended
    request_id = status["requestId"]
    for path in (
        f"{STATUS}/{request_id}",
        f"{CONNECT}/{request_id}/rows",
        f"{CONNECT}/{request_id}/report.csv",
        ACCOUNTS,
    ):
        body = (await service.get(path)).text
        assert not [password for password in PASSWORDS if password in body]


async def test_only_what_works_is_kept_as_an_account(ended: tuple[Service, Any]) -> None:
    payload = (await ended[0].get(ACCOUNTS)).payload
    assert [entry["emailAddress"] for entry in payload["items"]] == ["info@harbour.test", "office@harbour.test"]
    account = payload["items"][0]
    assert (account["status"], account["externalId"], account["tags"]) == ("OK", "crm-1", ["sales"])
    assert (account["smtp"]["code"], account["imap"]["host"]) == ("ok", OWN.imap_host)
    assert payload["items"][1]["imap"] is None


async def test_accounts_are_filtered_and_paged(ended: tuple[Service, Any]) -> None:
    service, _ = ended

    async def find(**params: str) -> list[str]:
        payload = (await service.get(ACCOUNTS, params=params)).payload
        return [entry["emailAddress"].partition("@")[0] for entry in payload["items"]]

    assert await find(search="OFF") == ["office"]
    assert await find(search="%") == []
    assert await find(status="OK") == ["info", "office"]
    assert await find(status="DISABLED") == []
    assert await find(offset="1") == ["office"]
    first = (await service.get(ACCOUNTS, params={"limit": "1"})).payload
    assert (first["total"], [entry["emailAddress"] for entry in first["items"]]) == (2, ["info@harbour.test"])
    assert await find(cursor=first["nextCursor"]) == ["office"]
    answer = await service.get(ACCOUNTS, params={"status": "good"})
    assert (answer.status, answer.problem) == (400, "parameter")


async def test_an_account_is_shown_and_deleted_by_its_owner_alone(
    ended: tuple[Service, Any], stranger: Service
) -> None:
    service, _ = ended
    (account,) = (await service.get(ACCOUNTS, params={"search": "office"})).payload["items"]
    path = f"{ACCOUNTS}/{account['id']}"
    assert (await service.get(path)).payload == account
    for method in ("GET", "DELETE"):
        answer = await stranger.ask(method, path)
        assert (answer.status, answer.problem) == (404, "not-found")
    deleted = await service.ask("DELETE", path)
    assert (deleted.status, deleted.payload) == (200, {"id": account["id"], "emailAddress": "office@harbour.test"})
    assert (await service.get(path)).status == 404
    assert (await service.ask("DELETE", path)).status == 404


async def test_what_is_on_record_can_be_passed_over_or_refused(ended: tuple[Service, Any], town: Town) -> None:
    service, _ = ended
    again = mailbox(town, OWN, "info@harbour.test", "tide-tables-42")
    skipped = await service.finished(await service.connected(again, onExisting="skip"))
    assert (skipped["status"], skipped["counts"]["skipped"]) == ("completed", 1)
    (account,) = (await service.get(ACCOUNTS, params={"search": "info@"})).payload["items"]
    (kept,) = (await service.get(f"{CONNECT}/{skipped['requestId']}/rows")).payload["items"]
    assert (kept["outcome"], kept["accountId"]) == ("skipped", account["id"])
    refused = await service.connect(again, onExisting="fail")
    assert refused.payload["invalid"] == 1
    assert refused.payload["rejections"][0]["code"] == "exists"
    strict = await service.connect(again, onExisting="fail", strict="true")
    assert (strict.status, strict.problem) == (422, "invalid-rows")


async def test_a_polling_script_sees_the_end(running: tuple[Api, Client], worker: Line, town: Town) -> None:
    service = await enter(*running)
    bearer = replace(service, key="", headers={"Authorization": f"Bearer {service.key}"})
    answer = await bearer.connect(mailbox(town, OWN, "sales@harbour.test", "Grüße aus dem Hafen"))
    status = await bearer.finished(answer.payload["requestId"])
    assert (status["status"], status["counts"]["connected"]) == ("completed", 1)


async def test_a_workspace_sees_its_own_accounts_only(ended: tuple[Service, Any], stranger: Service) -> None:
    assert (await stranger.get(ACCOUNTS)).payload == {"items": [], "nextCursor": None, "total": 0}


async def test_save_all_keeps_what_fails_too(running: tuple[Api, Client], worker: Line, town: Town) -> None:
    service = await enter(*running)
    await service.finished(await service.connected(mailbox(town, OWN, "info@harbour.test", "wrong horse"), save="all"))
    (account,) = (await service.get(ACCOUNTS)).payload["items"]
    assert (account["status"], account["errorCount"]) == ("INVALID_CREDENTIALS", 1)
    assert account["sendErroredAt"]
    assert account["sendSuccessAt"] is None


async def test_links_of_a_public_url_lead_there(settings: Settings, ended: tuple[Service, Any]) -> None:
    service, status = ended
    async with serving(replace(settings, public_url="https://connect.example.com")) as (api, client):
        elsewhere = Service(api, client, service.workspace_id, service.key)
        found = (await elsewhere.get(f"{STATUS}/{status['requestId']}")).payload
        assert found["reportURL"].startswith("https://connect.example.com/v1/reports/")
        assert (await ask(client, "GET", str(URL(found["reportURL"]).relative()))).status == 200
