"""PostgreSQL is lost after any statement of a call: 503 and a time to come back, and what is stored is whole."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from app.settings import Settings
from tests.api.asking import ACCOUNTS, CONNECT, STATUS, Answer, Service, enter, row, serving
from tests.fakes.between import Between
from tests.real.line import until
from tests.real.process import open_folder

ROWS = [row("a"), row("b"), row("c")]


@pytest.fixture
async def between(database_url: str) -> AsyncIterator[Between]:
    with open_folder("cut-off") as folder:
        async with Between(folder, database_url).listening() as relay:
            yield relay


@pytest.fixture
async def service(between: Between, settings: Settings) -> AsyncIterator[Service]:
    async with serving(replace(settings, database_url=between.database_url)) as running:
        yield await enter(*running)


async def count_statements(between: Between, service: Service, method: str, path: str, **more: Any) -> int:
    """Make a call twice, so that everything is prepared, and count its statements."""
    for number in range(2):
        between.hold_after(0)
        headers = {"Idempotency-Key": f"count-{number}"}
        assert (await service.ask(method, path, headers=headers, **more)).status == 200
    return between.seen


def judge(answer: Answer) -> bool:
    """Tell whether a call was answered as asked; else it must have been told to come back."""
    if answer.status == 503:
        assert answer.problem == "unavailable"
        assert int(answer.headers["Retry-After"]) > 0
    else:
        assert answer.status == 200, answer.text
    return answer.status == 200


async def test_a_post_is_stored_whole_or_not_at_all_wherever_postgresql_is_lost(
    between: Between, service: Service, pool: Any
) -> None:
    statements = await count_statements(between, service, "POST", CONNECT, json=ROWS)
    assert statements > 6
    stored: list[bool] = []
    for count in range(1, statements + 1):
        key = {"Idempotency-Key": f"cut-after-{count}"}
        between.hold_after(count, cuts=True)
        answer = await service.post(f"{CONNECT}?name=cut-{count}", ROWS, headers=key)
        between.hold_after(0)
        await until(lambda: is_quiet(pool))
        found = await pool.fetch("SELECT id, pending_count FROM requests WHERE name = $1", f"cut-{count}")
        assert [record["pending_count"] for record in found] in ([], [len(ROWS)])
        assert not judge(answer) or str(found[0]["id"]) == answer.payload["requestId"]
        again = await service.post(f"{CONNECT}?name=cut-{count}", ROWS, headers=key)
        assert judge(again)
        assert not found or str(found[0]["id"]) == again.payload["requestId"]
        assert await pool.fetchval("SELECT count(*) FROM requests WHERE name = $1", f"cut-{count}") == 1
        stored.append(bool(found))
    assert stored == sorted(stored)
    assert {stored[0], stored[-1]} == {False, True}


async def is_quiet(pool: Any) -> bool:
    others = "xact_start IS NOT NULL AND pid <> pg_backend_pid() AND datname = current_database()"
    return not await pool.fetchval(f"SELECT count(*) FROM pg_stat_activity WHERE {others}")


@pytest.mark.parametrize("place", ["status", "rows", "report", "requests", "accounts", "cancel"])
async def test_who_reads_when_postgresql_is_lost_is_told_to_come_back(
    between: Between, service: Service, place: str
) -> None:
    request_id = await service.connected(*ROWS)
    method, path = {
        "status": ("GET", f"{STATUS}/{request_id}"),
        "rows": ("GET", f"{CONNECT}/{request_id}/rows"),
        "report": ("GET", f"{CONNECT}/{request_id}/rows?outcome=failed"),
        "requests": ("GET", CONNECT),
        "accounts": ("GET", ACCOUNTS),
        "cancel": ("POST", f"{CONNECT}/{request_id}/cancel"),
    }[place]
    statements = await count_statements(between, service, method, path)
    for count in range(1, statements + 1):
        between.hold_after(count, cuts=True)
        answered = judge(await service.ask(method, path))
        between.hold_after(0)
        assert not answered or count == statements
        assert judge(await service.ask(method, path))
