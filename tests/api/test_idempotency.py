"""A call with an Idempotency-Key makes one thing, however often it is sent."""

import asyncio
import io
from dataclasses import replace
from datetime import timedelta

import msgspec
import pytest

from app.api.body import LARGE_BYTES
from app.api.context import Api
from app.demo.houses import OWN, Town
from app.settings import Settings
from app.store.db import transaction
from app.store.idempotency import IdempotencyKey, claim_key
from tests.api.asking import ACCOUNTS, CONNECT, STATUS, Answer, Client, Service, enter, mailbox, row, serving
from tests.real.line import Line


async def connect(service: Service, key: str, *rows: object, query: str = "") -> Answer:
    return await service.post(f"{CONNECT}{query}", list(rows), headers={"Idempotency-Key": key})


async def count_requests(service: Service) -> int:
    return int((await service.get(CONNECT)).payload["total"])


async def test_the_same_call_gives_the_first_answer_again(service: Service) -> None:
    first = await connect(service, "list-7", row("a"), row("b", smtpPort=0))
    again = await connect(service, "list-7", row("a"), row("b", smtpPort=0))
    assert (first.status, again.status) == (200, 200)
    assert again.body == first.body
    assert again.headers["Location"] == first.headers["Location"]
    assert again.headers["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first.headers
    assert await count_requests(service) == 1


async def test_the_same_key_with_another_call_is_refused(service: Service) -> None:
    await connect(service, "list-7", row("a"))
    for body, query in ((row("b"), ""), (row("a"), "?save=none")):
        answer = await connect(service, "list-7", body, query=query)
        assert (answer.status, answer.problem) == (422, "idempotency-mismatch")
    assert await count_requests(service) == 1


async def test_a_large_body_is_known_again_as_a_whole(settings: Settings) -> None:
    body = msgspec.json.encode([row("a")]) + b" " * LARGE_BYTES
    headers = {"Idempotency-Key": "list-7", "Content-Type": "application/json"}
    async with serving(replace(settings, max_body_bytes=2 * LARGE_BYTES)) as running:
        service = await enter(*running)
        first, again, other = [
            await service.ask("POST", CONNECT, data=io.BytesIO(sent), headers=headers)
            for sent in (body, body, body + b" ")
        ]
        assert first.status == 200
        assert again.body == first.body
        assert again.headers["Idempotent-Replayed"] == "true"
        assert (other.status, other.problem) == (422, "idempotency-mismatch")
        assert await count_requests(service) == 1


async def test_a_key_belongs_to_one_call_at_one_place(service: Service) -> None:
    first = await connect(service, "list-7", row("a"))
    parent = first.payload["requestId"]
    headers = {"Idempotency-Key": "list-7"}
    for path, body in (
        (f"{ACCOUNTS}/reconnect", {"emailAccountIds": ["x"]}),
        (f"{ACCOUNTS}/smtp-imap/connect", row("a")),
        (f"{CONNECT}/{parent}/retry", []),
    ):
        answer = await service.post(path, body, headers=headers)
        assert (answer.status, answer.problem) == (422, "idempotency-mismatch")
    lines = msgspec.json.encode(row("a")) + b"\n"
    kind = {"Content-Type": "application/x-ndjson"}
    assert (await service.ask("POST", CONNECT, data=lines, headers=headers | kind)).status == 422
    assert await count_requests(service) == 1


async def test_another_workspace_may_have_the_same_key(service: Service, stranger: Service) -> None:
    first, other = await connect(service, "list-7", row("a")), await connect(stranger, "list-7", row("a"))
    assert first.payload["requestId"] != other.payload["requestId"]


async def test_quotes_around_a_key_are_no_part_of_it(service: Service) -> None:
    first = await connect(service, '"list-7"', row("a"))
    assert (await connect(service, "list-7", row("a"))).body == first.body


async def test_many_calls_at_once_make_one_request(service: Service) -> None:
    answers = await asyncio.gather(*[connect(service, "rush", row("a")) for _ in range(12)])
    assert {answer.status for answer in answers} <= {200, 409}
    assert len({answer.body for answer in answers if answer.status == 200}) == 1
    assert sum("Idempotent-Replayed" not in answer.headers for answer in answers if answer.status == 200) == 1
    assert await count_requests(service) == 1


async def test_two_processes_make_one_request_of_calls_with_one_key(service: Service) -> None:
    async with serving(service.api.settings) as (api, client):
        beside = Service(api, client, service.workspace_id, service.key)
        calls = [connect(one, "both", row("a"), row("b")) for one in (service, beside) * 6]
        answers = await asyncio.gather(*calls)
        late = await connect(beside, "both", row("a"), row("b"))
    assert {answer.status for answer in answers} <= {200, 409}
    assert {answer.body for answer in answers if answer.status == 200} == {late.body}
    assert late.headers["Idempotent-Replayed"] == "true"
    assert await count_requests(service) == 1


async def test_a_call_while_the_first_is_worked_on_is_told_to_come_back(service: Service) -> None:
    async with transaction(service.api.db) as link:
        await claim_key(link, IdempotencyKey(service.workspace_id, "slow", b""))
        answer = await connect(service, "slow", row("a"))
    assert (answer.status, answer.problem) == (409, "idempotency-busy")
    assert answer.headers["Retry-After"]
    assert (await connect(service, "slow", row("a"))).status == 200


async def test_a_call_that_was_refused_leaves_its_key_free(service: Service) -> None:
    assert (await connect(service, "k", row("a", smtpPort=0), query="?strict=true")).status == 422
    assert (await connect(service, "k", row("a"), query="?strict=true")).status == 200


async def test_a_key_is_forgotten_after_a_day(service: Service) -> None:
    first = await connect(service, "daily", row("a"))
    for hours, is_same in ((23, True), (25, False)):
        await service.api.db.execute(
            "UPDATE idempotency_keys SET created_at = now() - $1::interval WHERE workspace_id = $2",
            timedelta(hours=hours),
            service.workspace_id,
        )
        assert ((await connect(service, "daily", row("a"))).body == first.body) is is_same


@pytest.mark.parametrize("key", ["", '""', "x" * 256, "clé", "tab\there"])
async def test_what_is_no_key_is_refused(service: Service, key: str) -> None:
    answer = await connect(service, key, row("a"))
    assert (answer.status, answer.problem) == (400, "idempotency-key")
    assert answer.json["errors"][0]["field"] == "Idempotency-Key"


async def test_one_account_is_checked_once_for_a_key(running: tuple[Api, Client], worker: Line, town: Town) -> None:
    service = await enter(*running)
    account = mailbox(town, OWN, "info@harbour.test", "tide-tables-42")
    path, headers = f"{ACCOUNTS}/smtp-imap/connect", {"Idempotency-Key": "one"}
    first, again = [await service.post(path, account, headers=headers) for _ in range(2)]
    assert (first.json["status"], again.json) == (1, first.json)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert await count_requests(service) == 1


async def test_a_key_of_a_request_that_is_gone_makes_a_new_one(service: Service) -> None:
    first = await connect(service, "gone", row("a"))
    await service.api.db.execute("DELETE FROM requests WHERE workspace_id = $1", service.workspace_id)
    again = await connect(service, "gone", row("a"))
    assert again.status == 200
    assert again.payload["requestId"] != first.payload["requestId"]
    assert (await service.get(f"{STATUS}/{again.payload['requestId']}")).status == 200
    assert msgspec.json.decode(again.body) != msgspec.json.decode(first.body)
