"""Large bodies: read without keeping others waiting."""

import asyncio
import io
import time
from dataclasses import replace

import msgspec

from app.settings import Settings
from tests.api.asking import CONNECT, enter, row, serving

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
