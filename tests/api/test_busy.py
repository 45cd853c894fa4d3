"""Large bodies: read without keeping others waiting."""

import asyncio
import io
import time
from dataclasses import replace

import msgspec

from app.api.accept import MANY_ROWS
from app.settings import Settings
from app.store.db import transaction
from tests.api.asking import CONNECT, enter, row, serving
from tests.real.line import until

ROWS = 20_000
LONGEST_PAUSE_SECONDS = 0.75


async def test_others_are_answered_while_many_rows_are_read(settings: Settings) -> None:
    body = msgspec.json.encode([row(f"box{number}") for number in range(ROWS)])
    roomy = replace(settings, max_rows=ROWS, max_body_bytes=len(body))
    async with serving(roomy) as running:
        service = await enter(*running)
        pauses: list[float] = []
        call = service.ask("POST", CONNECT, data=io.BytesIO(body), headers={"Content-Type": "application/json"})
        posting = asyncio.create_task(call)
        while not posting.done():
            began = time.monotonic()
            assert (await service.client.get("/healthz")).status == 200
            pauses.append(time.monotonic() - began)
            await asyncio.sleep(0.01)
        assert (await posting).payload["accepted"] == ROWS
        assert len(pauses) > 20
        assert max(pauses) < LONGEST_PAUSE_SECONDS


async def test_many_large_bodies_at_once_leave_connections_for_everybody_else(settings: Settings) -> None:
    async with serving(replace(settings, max_rows=MANY_ROWS + 1)) as running:
        service = await enter(*running)
        many = [row("lone", smtpPort=0)] * (MANY_ROWS + 1)
        async with transaction(service.api.db) as link:
            await link.execute("LOCK TABLE request_rows IN EXCLUSIVE MODE")  # so that storing takes its time
            posting = [asyncio.create_task(service.post(CONNECT, many)) for _ in range(12)]
            waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'request_rows'::regclass"

            async def is_crowded() -> bool:
                return bool(await link.fetchval(waiting) >= 4)

            await until(is_crowded)
            async with asyncio.timeout(5):
                assert (await service.get(CONNECT)).payload["total"] == 0
            assert await link.fetchval(waiting) == 4
        answers = await asyncio.gather(*posting)
        assert {answer.status for answer in answers} == {200}
        assert (await service.get(CONNECT)).payload["total"] == 12
