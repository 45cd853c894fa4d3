"""One account, checked while the caller waits."""

from dataclasses import replace

import pytest

from app.api.context import Api
from app.demo.houses import OWN, SILENT_HOST, Town
from app.settings import Settings
from tests.api.asking import ACCOUNTS, CONNECT, Client, Service, enter, mailbox, row, serving
from tests.real.line import Line

PATH = f"{ACCOUNTS}/smtp-imap/connect"


@pytest.fixture
async def checked(running: tuple[Api, Client], worker: Line) -> Service:
    return await enter(*running)


async def test_a_login_that_works_is_status_1_and_an_account(checked: Service, town: Town) -> None:
    answer = await checked.post(PATH, mailbox(town, OWN, "info@harbour.test", "tide-tables-42"))
    body = answer.json
    assert (answer.status, body["status"]) == (200, 1)
    assert body["smtpConnection"] == body["imapConnection"] == {"error": None}
    payload = body["payload"]
    assert (payload["status"], payload["outcome"], payload["smtp"]["code"]) == (1, "connected", "ok")
    assert (await checked.get(f"{ACCOUNTS}/{payload['id']}")).payload["emailAddress"] == "info@harbour.test"
    status = (await checked.get(answer.headers["Location"])).payload
    assert (status["kind"], status["counts"]["connected"]) == ("single", 1)


async def test_a_login_that_does_not_is_status_0_with_the_diagnosis(checked: Service, town: Town) -> None:
    answer = await checked.post(PATH, mailbox(town, OWN, "support@harbour.test", "wrong horse", imap=False))
    body = answer.json
    assert (answer.status, body["status"]) == (200, 0)
    assert body["smtpConnection"]["error"]
    assert body["imapConnection"]["error"] is None
    assert (body["payload"]["smtp"]["code"], body["payload"]["id"]) == ("invalid_credentials", None)
    assert "535" in body["payload"]["smtp"]["reply"]
    assert "wrong horse" not in answer.text
    assert (await checked.get(ACCOUNTS)).payload["total"] == 0


async def test_what_was_mended_on_the_way_is_told(checked: Service, town: Town) -> None:
    port = town.ports[OWN.label, "smtp", "ssl"]
    account = mailbox(town, OWN, "quotes@harbour.test", "tide-tables-42", smtpEncryption="starttls", smtpPort=port)
    payload = (await checked.post(PATH, account)).payload
    assert payload["outcome"] == "connected", payload["smtp"]
    assert payload["corrections"][0]["field"] == "smtpEncryption"


async def test_only_a_check_keeps_nothing(checked: Service, town: Town) -> None:
    account = mailbox(town, OWN, "info@harbour.test", "tide-tables-42")
    answer = await checked.post(PATH, account, params={"save": "none"})
    assert (answer.json["status"], answer.payload["id"]) == (1, None)
    assert (await checked.get(ACCOUNTS)).payload["total"] == 0


async def test_an_account_on_record_is_refused_where_that_is_asked(checked: Service, town: Town) -> None:
    account = mailbox(town, OWN, "info@harbour.test", "tide-tables-42")
    await checked.post(PATH, account)
    refused = await checked.post(PATH, account, params={"onExisting": "fail"})
    assert (refused.status, refused.json["status"], refused.payload["outcome"]) == (200, 0, "invalid")
    assert refused.payload["errors"][0]["code"] == "exists"
    skipped = await checked.post(PATH, account, params={"onExisting": "skip"})
    assert (skipped.json["status"], skipped.payload["outcome"]) == (0, "skipped")


async def test_a_bad_row_is_refused_by_field(service: Service) -> None:
    answer = await service.post(PATH, row(smtpPort=0))
    assert (answer.status, answer.problem) == (422, "invalid-rows")
    (error,) = answer.json["errors"]
    assert (error["pointer"], "row" in error) == (f"#/{error['field']}", False)
    assert (error["field"], error["code"]) == ("smtpPort", "range")
    assert (await service.get(CONNECT)).payload["total"] == 0


@pytest.mark.parametrize(("body", "words"), [(b"[]", "one account"), (b"{", "not JSON"), (b"", "not JSON")])
async def test_a_body_that_is_no_account_is_refused(service: Service, body: bytes, words: str) -> None:
    answer = await service.ask("POST", PATH, data=body, headers={"Content-Type": "application/json"})
    assert (answer.status, answer.problem) == (400, "body")
    assert words in answer.json["detail"]


async def test_another_media_type_is_refused(service: Service) -> None:
    answer = await service.ask("POST", PATH, data=b"a=b", headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert (answer.status, answer.problem) == (415, "content-type")


async def test_unknown_parameters_are_refused(service: Service) -> None:
    answer = await service.post(PATH, row(), params={"strict": "true"})
    assert (answer.status, answer.problem) == (400, "parameter")


async def test_who_waits_too_long_is_told_where_to_look(settings: Settings, town: Town) -> None:
    """The server says nothing, and the API's patience ends first."""
    async with serving(replace(settings, check_timeout_seconds=0.2)) as (api, client):
        api.single_spare_seconds = 0.3
        service = await enter(api, client)
        account = row(smtpHost=SILENT_HOST, smtpPort=town.silent_port)
        answer = await service.post(PATH, account)
        assert answer.status == 202
        status = (await service.get(answer.headers["Location"])).payload
        assert (status["requestId"], status["kind"]) == (answer.payload["requestId"], "single")
