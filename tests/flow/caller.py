"""A script that knows the documented calls and nothing else; it keeps every answer it was ever given."""

import asyncio
import csv
import io
import json
import time
from dataclasses import dataclass, field
from typing import Any

import aiohttp

Json = Any
CONNECT = "/v1/email-accounts/connect"


@dataclass
class Caller:
    """One API key at one service."""

    url: str
    session: aiohttp.ClientSession
    answers: list[str] = field(default_factory=list)

    async def get(self, path: str) -> Json:
        async with self.session.get(self.url + path) as answer:
            self.answers.append(await answer.text())
            assert answer.status == 200, self.answers[-1]
            return await answer.json()

    async def get_text(self, path: str) -> str:
        async with self.session.get(self.url + path) as answer:
            self.answers.append(await answer.text())
            assert answer.status == 200, self.answers[-1]
            return self.answers[-1]

    async def post(self, rows: list[dict[str, Any]], query: str = "") -> Json:
        """POST an array of accounts. Returns the payload."""
        body = io.BytesIO(json.dumps(rows).encode())
        kind = {"Content-Type": "application/json"}
        async with self.session.post(f"{self.url}{CONNECT}{query}", data=body, headers=kind) as answer:
            self.answers.append(await answer.text())
            assert answer.status == 200, self.answers[-1]
            found = await answer.json()
        assert set(found) == {"message", "payload"}
        assert found["payload"]["requestId"] in found["message"]
        return found["payload"]

    async def status(self, request_id: str) -> Json:
        payload = (await self.get(f"{CONNECT}/status/{request_id}"))["payload"]
        counts = payload["counts"]
        assert counts["total"] == sum(count for name, count in counts.items() if name != "total")
        return payload

    async def wait(self, request_id: str, seconds: float) -> Json:
        """Poll until the request is completed. Returns the last status."""
        ends_at = time.monotonic() + seconds
        while True:
            status = await self.status(request_id)
            if status["isCompleted"]:
                return status
            assert time.monotonic() < ends_at, f"not completed within {seconds:g} s: {status['counts']}"
            await asyncio.sleep(0.2)

    async def wait_for_share(self, request_id: str, share: float, seconds: float) -> Json:
        """Poll until at least `share` of the rows have ended. Returns the status."""
        ends_at = time.monotonic() + seconds
        while True:
            status = await self.status(request_id)
            counts = status["counts"]
            if counts["pending"] <= counts["total"] * (1 - share):
                return status
            assert time.monotonic() < ends_at, f"too slow: {counts}"
            await asyncio.sleep(0.05)

    async def open_report(self, report_url: str) -> list[dict[str, str]]:
        """Open a report's link with no key at all, as a browser would. Returns its lines."""
        async with aiohttp.ClientSession() as stranger, stranger.get(report_url) as answer:
            assert answer.status == 200
            assert answer.content_type == "text/csv"
            self.answers.append(await answer.text(encoding="utf-8"))
        return list(csv.DictReader(io.StringIO(self.answers[-1])))
