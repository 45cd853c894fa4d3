"""kill -9 of an API process after any statement of POST: what is stored is whole, or there is nothing."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.api.asking import CONNECT, row
from tests.fakes.between import Between
from tests.real.line import Line, open_line, until
from tests.real.process import open_folder

ROWS = 600
"""More than one slice of them (app/store/requests.py)."""
BODY = [row(f"box{number}", externalId=str(number)) for number in range(1, ROWS + 1)]


@pytest.fixture
async def between(database_url: str) -> AsyncIterator[Between]:
    with open_folder("between") as folder:
        async with Between(folder, database_url).listening() as relay:
            yield relay


@pytest.fixture
async def line(between: Between, redis_url: str, tmp_path: Path) -> AsyncIterator[Line]:
    with open_line(tmp_path, between.database_url, redis_url, {"RATE_LIMIT": "100000"}) as laid:
        yield laid


async def post(line: Line, key: str, headers: dict[str, str]) -> tuple[str, bool] | None:
    """Post the rows under a key. Returns the request's id and whether it was made before; None: no answer came."""
    timeout = aiohttp.ClientTimeout(total=30)
    with contextlib.suppress(aiohttp.ClientConnectionError):
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.post(
                f"{line.url}{CONNECT}?name={key}", json=BODY, headers={**headers, "Idempotency-Key": key}
            ) as answer,
        ):
            body = await answer.json()
            assert answer.status == 200, body
            return body["payload"]["requestId"], "Idempotent-Replayed" in answer.headers
    return None


async def is_quiet(pool: Any) -> bool:
    """Tell whether PostgreSQL has noticed that the dead are dead."""
    others = "xact_start IS NOT NULL AND pid <> pg_backend_pid() AND datname = current_database()"
    return not await pool.fetchval(f"SELECT count(*) FROM pg_stat_activity WHERE {others}")


async def find_whole(pool: Any, key: str) -> str | None:
    """Return the request that was posted under a key; None: there is no trace of it. Asserts that it is whole."""
    found = await pool.fetch("SELECT id, total_count, pending_count FROM requests WHERE name = $1", key)
    keys = await pool.fetch("SELECT request_id FROM idempotency_keys WHERE key = $1", key)
    assert [record["id"] for record in found] == [record["request_id"] for record in keys]
    if not found:
        return None
    (request,) = found
    assert (request["total_count"], request["pending_count"]) == (ROWS, ROWS)
    rows = "SELECT count(*) FILTER (WHERE state = 'queued' AND sealed IS NOT NULL) FROM request_rows"
    assert await pool.fetchval(f"{rows} WHERE request_id = $1", request["id"]) == ROWS
    return str(request["id"])


async def test_a_post_is_stored_whole_or_not_at_all_wherever_the_process_is_killed(
    between: Between, line: Line, pool: Any
) -> None:
    headers = {"x-api-key": await line.make_key("killed")}
    await line.start_api()
    between.hold_after(0)
    assert await post(line, "unharmed", headers) is not None
    statements = between.seen
    assert statements > 10
    kept = []
    for count in range(1, statements + 1):
        key = f"killed-after-{count}"
        between.hold_after(count)
        posting = asyncio.create_task(post(line, key, headers))
        holding = asyncio.create_task(between.held.wait())
        await asyncio.wait({posting, holding}, return_when=asyncio.FIRST_COMPLETED)
        line.kill("api")
        answered = await posting
        holding.cancel()
        between.hold_after(0)
        await until(lambda: is_quiet(pool))
        stored = await find_whole(pool, key)
        assert answered is None or answered == (stored, False)
        kept.append(stored is not None)
        await line.start_api()
        again = await post(line, key, headers)
        assert again is not None
        assert again[1] == (stored is not None)
        assert stored in {None, again[0]}
        assert await find_whole(pool, key) == again[0]
    assert kept == sorted(kept), "a request that was there once is there ever after"
    assert {kept[0], kept[-1]} == {False, True}
    orphans = "SELECT count(*) FROM request_rows r WHERE NOT EXISTS (SELECT FROM requests WHERE id = r.request_id)"
    assert await pool.fetchval(orphans) == 0
