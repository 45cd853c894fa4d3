"""Retry, cancel, reconnect and delete while workers are killed: what was asked for comes about all the same."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from app.api.context import Api
from app.settings import Settings
from tests.api.asking import ACCOUNTS, CONNECT, STATUS, Client, Service, enter
from tests.fakes.counting import Counting, count_logins
from tests.real.line import Line, open_line, until

SLOTS = 10


@pytest.fixture
async def servers() -> AsyncIterator[Counting]:
    async with count_logins(0.02) as book:
        yield book


@pytest.fixture
def line(settings: Settings, servers: Counting, tmp_path: Path) -> Iterator[Line]:
    """Lay a line for workers that take silence for death soon."""
    told = {
        "SECRET_KEYS": ",".join(settings.secret_keys),
        "REPORT_STORE": settings.report_store,
        "ALLOW_PORTS": f"{servers.smtp_port},{servers.imap_port}",
        "CHECK_CONCURRENCY": str(SLOTS),
        "WORKER_TIMEOUT": "2",
    }
    with open_line(tmp_path, settings.database_url, settings.redis_url, told) as laid:
        yield laid
        for worker in list(laid.processes):
            laid.kill(worker)  # the servers are on this loop: they could not answer while it waits


@pytest.fixture
async def service(running: tuple[Api, Client], line: Line) -> Service:
    await line.start_worker("first")
    return await enter(*running)


def box(servers: Counting, name: str, **fields: object) -> dict[str, object]:
    """Return a row of a mailbox at the counting server; its name's first word tells how it is treated."""
    return {
        "smtpEmailAddress": f"{name}@example.com",
        "smtpPassword": "right horse",
        "smtpHost": "127.0.0.1",
        "smtpPort": servers.smtp_port,
        "smtpEncryption": "none",
        "imapHost": "127.0.0.1",
        "imapPort": servers.imap_port,
        "imapEncryption": "none",
        **fields,
    }


async def until_asked(servers: Counting, name: str, count: int) -> None:
    """Wait until so many passwords have come for a mailbox."""

    async def is_so() -> bool:
        return servers.asked[f"{name}@example.com"] >= count

    await until(is_so)


async def until_ended(service: Service, request_id: str, **counts: int) -> None:
    """Wait until so many rows are recorded."""

    async def is_so() -> bool:
        found = (await service.get(f"{STATUS}/{request_id}")).payload["counts"]
        return all(found[name] >= count for name, count in counts.items())

    await until(is_so)


async def replace_worker(line: Line) -> None:
    line.kill("first")
    await line.start_worker("second")


async def read_sealed(service: Service, account_id: str) -> dict[str, Any]:
    columns = "sealed, smtp_username, imap_username, external_id, details, smtp_is_token, imap_is_token"
    return dict(await service.api.db.fetchrow(f"SELECT {columns} FROM accounts WHERE id = $1", UUID(account_id)))


async def test_a_retry_goes_on_where_the_killed_worker_was(service: Service, servers: Counting, line: Line) -> None:
    rows = [box(servers, "good-1"), box(servers, "wrong-2", externalId="crm-2"), box(servers, "wrong-3")]
    parent = await service.connected(*rows)
    await service.finished(parent)
    mended = [{"row": 2, "smtpUserName": "held-2@example.com", "imapUserName": "held-2@example.com"}]
    key = {"Idempotency-Key": "retry of three"}
    first = await service.post(f"{CONNECT}/{parent}/retry", mended, headers=key)
    request_id = first.payload["requestId"]
    await until_asked(servers, "held-2", 2)
    await until_ended(service, request_id, failed=1)
    await replace_worker(line)
    again = await service.post(f"{CONNECT}/{parent}/retry", mended, headers=key)
    assert again.payload["requestId"] == request_id
    await until_asked(servers, "held-2", 4)
    servers.let_go.set()
    status = await service.finished(request_id)
    assert (status["retryOf"], status["counts"]["connected"], status["counts"]["failed"]) == (parent, 1, 1)
    assert servers.asked["wrong-3@example.com"] == 2 + 2  # once a side in each of the two requests
    assert servers.asked["held-2@example.com"] == 4  # what the killed worker asked was never answered
    assert servers.asked["good-1@example.com"] == 2
    counts = (await service.get(f"{STATUS}/{parent}")).payload["counts"]
    assert (counts["connected"], counts["failed"]) == (1, 2)
    (account,) = (await service.get(ACCOUNTS, params={"search": "wrong-2"})).payload["items"]
    assert (account["status"], account["externalId"]) == ("OK", "crm-2")


async def test_cancelled_rows_of_a_killed_worker_are_not_checked_again(
    service: Service, servers: Counting, line: Line
) -> None:
    request_id = await service.connected(*[box(servers, f"held-{number}") for number in range(1, 41)])

    async def is_full() -> bool:
        return servers.asked.total() >= 2

    await until(is_full)
    cancelled = (await service.post(f"{CONNECT}/{request_id}/cancel")).payload
    in_flight = cancelled["counts"]["pending"]
    assert 0 < in_flight <= SLOTS
    assert cancelled["counts"]["cancelled"] == 40 - in_flight
    await until(lambda: is_quiet(servers))
    asked = servers.asked.total()
    await replace_worker(line)
    status = await service.finished(request_id)
    assert (status["status"], status["counts"]["cancelled"]) == ("cancelled", 40)
    assert status["reportURL"]
    assert servers.asked.total() == asked <= 2 * in_flight


async def is_quiet(servers: Counting) -> bool:
    """Tell whether no more passwords come."""
    before = servers.asked.total()
    await asyncio.sleep(0.5)
    return servers.asked.total() == before


async def test_checks_in_flight_end_by_themselves_when_their_request_is_cancelled(
    service: Service, servers: Counting
) -> None:
    request_id = await service.connected(*[box(servers, f"held-{number}") for number in range(1, 41)])
    await until_asked(servers, "held-1", 2)
    in_flight = (await service.post(f"{CONNECT}/{request_id}/cancel")).payload["counts"]["pending"]
    servers.let_go.set()
    counts = (await service.finished(request_id))["counts"]
    assert (counts["connected"], counts["cancelled"]) == (in_flight, 40 - in_flight)
    total = (await service.get(ACCOUNTS)).payload["total"]
    assert total == in_flight


@pytest.fixture
async def account(service: Service, servers: Counting) -> dict[str, Any]:
    """Return an account that was connected."""
    await service.finished(await service.connected(box(servers, "good-7", externalId="crm-7", tags=["spring"])))
    (found,) = (await service.get(ACCOUNTS)).payload["items"]
    return dict(found)


async def reconnect(service: Service, account: dict[str, Any]) -> str:
    answer = await service.post(f"{ACCOUNTS}/reconnect", {"emailAccountIds": [account["id"]]})
    assert answer.payload["accepted"] == 1
    return str(answer.payload["requestId"])


async def test_a_reconnect_survives_its_worker_and_leaves_the_credentials_alone(
    service: Service, servers: Counting, line: Line, account: dict[str, Any]
) -> None:
    before = await read_sealed(service, account["id"])
    servers.delay_seconds = 3.0
    request_id = await reconnect(service, account)
    await until_asked(servers, "good-7", 4)
    await replace_worker(line)
    servers.delay_seconds = 0.02
    status = await service.finished(request_id)
    assert (status["kind"], status["counts"]["connected"]) == ("reconnect", 1)
    after = (await service.get(f"{ACCOUNTS}/{account['id']}")).payload
    assert (after["status"], after["lastCheckTime"] > account["lastCheckTime"]) == ("OK", True)
    assert await read_sealed(service, account["id"]) == before
    assert servers.asked["good-7@example.com"] == 6


async def test_a_reconnect_that_is_refused_changes_the_status_and_nothing_else(
    service: Service, servers: Counting, account: dict[str, Any]
) -> None:
    servers.revoked.add("good-7@example.com")
    before = await read_sealed(service, account["id"])
    status = await service.finished(await reconnect(service, account))
    assert status["counts"]["failed"] == 1
    after = (await service.get(f"{ACCOUNTS}/{account['id']}")).payload
    assert (after["status"], after["errorCount"]) == ("INVALID_CREDENTIALS", 1)
    assert await read_sealed(service, account["id"]) == before
    servers.revoked.clear()
    await service.finished(await reconnect(service, account))
    after = (await service.get(f"{ACCOUNTS}/{account['id']}")).payload
    assert (after["status"], after["errorCount"]) == ("OK", 0)


async def test_a_retry_of_a_reconnect_is_one_too(service: Service, servers: Counting, account: dict[str, Any]) -> None:
    servers.revoked.add("good-7@example.com")
    before = await read_sealed(service, account["id"])
    parent = await reconnect(service, account)
    await service.finished(parent)
    first = await service.finished((await service.post(f"{CONNECT}/{parent}/retry")).payload["requestId"])
    assert (first["kind"], first["retryOf"], first["counts"]["failed"]) == ("reconnect", parent, 1)
    after = (await service.get(f"{ACCOUNTS}/{account['id']}")).payload
    assert (after["status"], after["errorCount"]) == ("INVALID_CREDENTIALS", 2)
    assert await read_sealed(service, account["id"]) == before
    servers.revoked.clear()
    assert (await service.ask("DELETE", f"{ACCOUNTS}/{account['id']}")).status == 200
    second = await service.finished((await service.post(f"{CONNECT}/{parent}/retry")).payload["requestId"])
    assert second["counts"]["connected"] == 1
    assert (await service.get(ACCOUNTS)).payload["total"] == 0  # what was deleted is not brought back
    mended = [{"row": 1, "smtpPassword": "new horse"}]
    third = await service.finished((await service.post(f"{CONNECT}/{parent}/retry", mended)).payload["requestId"])
    assert (third["kind"], third["counts"]["connected"]) == ("retry", 1)
    assert (await service.get(ACCOUNTS)).payload["total"] == 1  # what is brought anew is


async def test_a_retry_of_a_reconnect_checks_what_the_account_is_opened_with_now(
    service: Service, servers: Counting, account: dict[str, Any]
) -> None:
    servers.revoked.add("good-7@example.com")
    parent = await reconnect(service, account)
    await service.finished(parent)
    asked = servers.asked["good-7@example.com"]
    names = {"smtpUserName": "good-8@example.com", "imapUserName": "good-8@example.com"}
    await service.finished(await service.connected(box(servers, "good-7", **names)))
    status = await service.finished((await service.post(f"{CONNECT}/{parent}/retry")).payload["requestId"])
    assert (status["kind"], status["counts"]["connected"]) == ("reconnect", 1)
    after = (await service.get(f"{ACCOUNTS}/{account['id']}")).payload
    assert (after["status"], after["errorCount"]) == ("OK", 0)
    assert (servers.asked["good-7@example.com"], servers.asked["good-8@example.com"]) == (asked, 2 + 2)


async def test_an_account_that_is_deleted_while_it_is_checked_stays_deleted(
    service: Service, servers: Counting, account: dict[str, Any]
) -> None:
    servers.delay_seconds = 1.0
    request_id = await reconnect(service, account)
    await until_asked(servers, "good-7", 4)
    assert (await service.ask("DELETE", f"{ACCOUNTS}/{account['id']}")).status == 200
    status = await service.finished(request_id)
    assert status["counts"]["connected"] == 1
    (row,) = (await service.get(f"{CONNECT}/{request_id}/rows")).payload["items"]
    assert (row["outcome"], row["accountId"]) == ("connected", None)
    assert (await service.get(ACCOUNTS)).payload["total"] == 0
    answer = await service.post(f"{ACCOUNTS}/reconnect", {"emailAccountIds": [account["id"]]})
    assert answer.payload["invalid"] == 1


async def test_an_account_that_is_deleted_while_it_is_connected_anew_is_a_new_one(
    service: Service, servers: Counting, account: dict[str, Any]
) -> None:
    servers.delay_seconds = 1.0
    request_id = await service.connected(box(servers, "good-7"))
    await until_asked(servers, "good-7", 4)
    assert (await service.ask("DELETE", f"{ACCOUNTS}/{account['id']}")).status == 200
    await service.finished(request_id)
    (kept,) = (await service.get(ACCOUNTS)).payload["items"]
    assert kept["id"] != account["id"]
    (row,) = (await service.get(f"{CONNECT}/{request_id}/rows")).payload["items"]
    assert row["accountId"] == kept["id"]
