"""Rows that failed are checked again, and so are stored accounts."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest

from app.api.context import Api
from app.demo.houses import OWN, Town
from app.seal import new_key_text
from app.store.requests import purge_request
from tests.api.asking import ACCOUNTS, CONNECT, Client, Service, enter, mailbox, row, serving
from tests.real.line import Line

RECONNECT = f"{ACCOUNTS}/reconnect"
RIGHT = "tide-tables-42"


@pytest.fixture(scope="module")
async def failed(running: tuple[Api, Client], worker: Line, town: Town) -> AsyncIterator[tuple[Service, str]]:
    """Yield the caller of a request of which rows 2 and 3 failed and row 4 is invalid."""
    service = await enter(*running)
    request_id = await service.connected(
        mailbox(town, OWN, "info@harbour.test", RIGHT),
        mailbox(town, OWN, "support@harbour.test", "wrong horse", externalId="crm-2", colour="blue", tags=["x"]),
        mailbox(town, OWN, "quotes@harbour.test", "wrong horse", smtp=False),
        row(smtpPort=0),
        name="Spring list",
    )
    await service.finished(request_id)
    yield service, request_id


async def first_account(service: Service) -> Any:
    """Return the account of row 1."""
    (account,) = (await service.get(ACCOUNTS, params={"search": "info"})).payload["items"]
    return account


@contextlib.asynccontextmanager
async def replaced(service: Service, table: str, column: str, id_text: str, value: bytes | None) -> AsyncIterator[None]:
    """Put something else into a place of PostgreSQL for a while."""
    db, here = service.api.db, UUID(id_text)
    before = await db.fetchval(f"SELECT {column} FROM {table} WHERE id = $1", here)
    await db.execute(f"UPDATE {table} SET {column} = $2 WHERE id = $1", here, value)
    try:
        yield
    finally:
        await db.execute(f"UPDATE {table} SET {column} = $2 WHERE id = $1", here, before)


def mailbox_of_nobody() -> dict[str, object]:
    """Return a row that fails at once: nothing listens there."""
    return row(smtpHost="127.0.0.1", smtpPort=587, imap=False)


async def rows_of(service: Service, request_id: str) -> list[Any]:
    return list((await service.get(f"{CONNECT}/{request_id}/rows")).payload["items"])


async def test_failed_rows_are_checked_again_with_what_was_mended(failed: tuple[Service, str]) -> None:
    service, request_id = failed
    body = [{"row": 2, "smtpPassword": RIGHT, "imapPassword": RIGHT}]
    answer = await service.post(f"{CONNECT}/{request_id}/retry", body)
    assert (answer.status, answer.payload["total"], answer.payload["accepted"]) == (200, 2, 2)
    assert answer.headers["Location"].endswith(answer.payload["requestId"])
    status = await service.finished(answer.payload["requestId"])
    assert (status["kind"], status["retryOf"], status["name"]) == ("retry", request_id, "Spring list")
    assert (status["counts"]["connected"], status["counts"]["failed"]) == (1, 1)
    good, bad = await rows_of(service, status["requestId"])
    assert (good["row"], good["outcome"], good["externalId"], good["extra"]) == (
        2,
        "connected",
        "crm-2",
        {"colour": "blue"},
    )
    assert (bad["row"], bad["outcome"], bad["smtp"]["status"]) == (3, "failed", "skipped")


async def test_rows_are_checked_again_as_they_were_where_nothing_is_sent(failed: tuple[Service, str]) -> None:
    service, request_id = failed
    answer = await service.ask("POST", f"{CONNECT}/{request_id}/retry")
    status = await service.finished(answer.payload["requestId"])
    assert (status["counts"]["total"], status["counts"]["failed"]) == (2, 2)


async def test_what_runs_or_has_not_failed_is_not_checked_again(service: Service) -> None:
    running = await service.connected(row())
    answer = await service.post(f"{CONNECT}/{running}/retry", [])
    assert (answer.status, answer.problem) == (409, "still-running")
    await service.post(f"{CONNECT}/{running}/cancel")
    answer = await service.post(f"{CONNECT}/{running}/retry", [])
    assert (answer.status, answer.problem) == (409, "nothing-failed")


async def test_rows_that_did_not_fail_cannot_be_mended(failed: tuple[Service, str]) -> None:
    service, request_id = failed
    answer = await service.post(f"{CONNECT}/{request_id}/retry", [{"row": 1, "smtpPassword": "x"}, {"row": 99}])
    assert (answer.status, answer.problem) == (422, "not-failed")
    assert [error["row"] for error in answer.json["errors"]] == [1, 99]


async def test_mended_fields_are_read_as_strictly_as_ever(failed: tuple[Service, str]) -> None:
    service, request_id = failed
    answer = await service.post(f"{CONNECT}/{request_id}/retry", [{"row": 2, "smtpPort": 0}])
    assert (answer.status, answer.problem) == (422, "invalid-rows")
    assert (answer.json["errors"][0]["row"], answer.json["errors"][0]["field"]) == (2, "smtpPort")


async def test_rows_whose_secrets_are_gone_are_named_until_they_are_brought(failed: tuple[Service, str]) -> None:
    service, request_id = failed
    path = f"{CONNECT}/{request_id}/retry"
    brought = [{"row": 2, "smtpPassword": RIGHT}, {"row": 3, "imapPassword": RIGHT}]
    async with replaced(service, "requests", "data_key", request_id, None):
        answer = await service.post(path, brought[:1])
        assert (answer.status, answer.problem, answer.json["rows"]) == (409, "secrets-gone", [3])
        assert (await service.post(path, [])).json["rows"] == [2, 3]
        accepted = await service.post(path, brought)
    assert (await service.finished(accepted.payload["requestId"]))["counts"]["connected"] == 2


async def test_secrets_sealed_with_a_key_that_is_gone_are_gone(failed: tuple[Service, str]) -> None:
    service, request_id = failed
    async with serving(replace(service.api.settings, secret_keys=(new_key_text(),))) as (api, client):
        elsewhere = Service(api, client, service.workspace_id, service.key)
        answer = await elsewhere.post(f"{CONNECT}/{request_id}/retry", [])
        assert (answer.status, answer.problem, answer.json["rows"]) == (409, "secrets-gone", [2, 3])


@pytest.mark.parametrize(
    "body", [b"{}", b"[1]", b"[", b"\xff", b'[{"smtpPassword": "x"}]', b'[{"row": 0}]', b'[{"row": true}]']
)
async def test_a_body_that_names_no_rows_is_refused(failed: tuple[Service, str], body: bytes) -> None:
    service, request_id = failed
    headers = {"Content-Type": "application/json"}
    answer = await service.ask("POST", f"{CONNECT}/{request_id}/retry", data=body, headers=headers)
    assert (answer.status, answer.problem) == (400, "body")


async def test_a_row_named_twice_is_refused(failed: tuple[Service, str]) -> None:
    service, request_id = failed
    answer = await service.post(f"{CONNECT}/{request_id}/retry", [{"row": 2}, {"row": 2}])
    assert (answer.status, answer.problem) == (400, "body")


async def test_a_retry_with_a_key_makes_one_request(failed: tuple[Service, str]) -> None:
    service, request_id = failed
    headers = {"Idempotency-Key": "again-1"}
    first, again = [await service.post(f"{CONNECT}/{request_id}/retry", [], headers=headers) for _ in range(2)]
    assert first.body == again.body
    assert again.headers["Idempotent-Replayed"] == "true"


async def test_a_retry_is_answered_again_though_what_it_asked_of_is_gone(failed: tuple[Service, str]) -> None:
    service, parent = failed
    path, headers = f"{CONNECT}/{parent}/retry", {"Idempotency-Key": "again-2"}
    first = await service.post(path, [], headers=headers)
    async with replaced(service, "requests", "data_key", parent, None):
        again = await service.post(path, [], headers=headers)
        assert (again.status, again.body) == (200, first.body)
        assert again.headers["Location"] == first.headers["Location"]
        mismatch = await service.post(path, [{"row": 2, "smtpPassword": RIGHT}], headers=headers)
        assert (mismatch.status, mismatch.problem) == (422, "idempotency-mismatch")
    request_id = await service.connected(mailbox_of_nobody())
    await service.finished(request_id)
    path = f"{CONNECT}/{request_id}/retry"
    first = await service.post(path, [], headers={"Idempotency-Key": "again-3"})
    await service.api.db.execute("DELETE FROM requests WHERE id = $1", UUID(request_id))
    again = await service.post(path, [], headers={"Idempotency-Key": "again-3"})
    assert (again.status, again.body) == (200, first.body)


async def test_stored_accounts_are_checked_again(failed: tuple[Service, str]) -> None:
    service, _ = failed
    account = await first_account(service)
    answer = await service.post(RECONNECT, {"emailAccountIds": [account["id"], account["id"]]})
    assert (answer.payload["accepted"], answer.payload["duplicate"]) == (1, 1)
    status = await service.finished(answer.payload["requestId"])
    assert (status["kind"], status["counts"]["connected"]) == ("reconnect", 1)
    after = (await service.get(f"{ACCOUNTS}/{account['id']}")).payload
    assert after["lastCheckTime"] >= account["lastCheckTime"]
    assert after["externalId"] == account["externalId"]


async def test_accounts_that_are_not_there_are_invalid_rows(failed: tuple[Service, str], stranger: Service) -> None:
    service, _ = failed
    account = await first_account(service)
    answer = await stranger.post(RECONNECT, {"emailAccountIds": [account["id"], str(uuid4()), "7"]})
    assert (answer.status, answer.payload["invalid"]) == (200, 3)
    told = [(one["row"], one["field"], one["code"]) for one in answer.payload["rejections"]]
    assert told == [(number + 1, f"emailAccountIds[{number}]", "value") for number in range(3)]
    assert answer.payload["rejections"][2]["message"] == (
        'emailAccountIds[2]: there is no account "7" in your workspace.'
    )


async def test_an_account_without_its_secret_must_be_connected_anew(failed: tuple[Service, str]) -> None:
    service, _ = failed
    account = await first_account(service)
    async with replaced(service, "accounts", "sealed", account["id"], b"\x01" * 40):
        answer = await service.post(RECONNECT, {"emailAccountIds": [account["id"]]})
    assert answer.payload["invalid"] == 1
    (error,) = answer.payload["rejections"]
    assert (error["field"], error["code"]) == ("emailAccountIds[0]", "secret_gone")
    assert "Connect it again" in error["message"]
    (told,) = (await service.get(f"{CONNECT}/{answer.payload['requestId']}/rows")).payload["items"]
    assert told["emailAddress"] == account["emailAddress"]


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"emailAccountIds": []}', b'{"emailAccountIds": [7]}', b'{"ids": ["x"]}', b"\xff"]
)
async def test_a_body_that_names_no_accounts_is_refused(service: Service, body: bytes) -> None:
    answer = await service.ask("POST", RECONNECT, data=body, headers={"Content-Type": "application/json"})
    assert (answer.status, answer.problem) == (400, "body")


async def test_more_accounts_than_rows_may_be_are_refused(service: Service) -> None:
    answer = await service.post(RECONNECT, {"emailAccountIds": ["x"] * 1001})
    assert (answer.status, answer.problem, answer.json["limit"]) == (413, "too-many-rows", 1000)


async def test_a_retry_meets_the_request_as_it_is_when_its_body_has_come(running: tuple[Api, Client]) -> None:
    service = await enter(*running)
    request_id = await service.connected(row("a"))

    async def come_slowly() -> AsyncIterator[bytes]:
        yield b"["
        await asyncio.sleep(0.5)  # the guard has let it in by now
        await purge_request(service.api.db, UUID(request_id))
        yield b"]"

    path, kind = f"{CONNECT}/{request_id}/retry", {"Content-Type": "application/json"}
    answer = await service.ask("POST", path, data=come_slowly(), headers=kind)
    assert (answer.status, answer.problem) == (404, "not-found")
