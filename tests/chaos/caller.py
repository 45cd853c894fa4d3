"""I/O: what a caller does in a run of trouble: post, look until it is over, read what came of each row."""

import asyncio
import random
import sys
import time
from typing import Any

from tests.chaos.books import Row
from tests.chaos.stage import Stage

CONNECT = "/v1/email-accounts/connect"


def say(text: str) -> None:
    sys.stdout.write(f"{time.strftime('%H:%M:%S')} {text}\n")
    sys.stdout.flush()


def name_mailboxes(count: int, label: str, dice: random.Random) -> list[str]:
    """Return mailboxes: 8 % wrong passwords, 4 % that are told "later" once."""
    kinds = dice.choices(["good", "wrong", "later"], [88, 8, 4], k=count)
    return [f"{kind}-{label}-{number}@counting.test" for number, kind in enumerate(kinds, 1)]


async def post(stage: Stage, names: list[str], key: str) -> str:
    headers = {"Idempotency-Key": key}
    status, body = await stage.call("POST", CONNECT, json=stage.accounts(names), headers=headers)
    if status != 200:
        raise RuntimeError(f"POST was answered {status}: {body}")
    return str(body["payload"]["requestId"])


async def settle(stage: Stage, request_id: str, seconds: float) -> dict[str, Any]:
    """Wait until a request is completed; its counts must add up at every look."""
    ends_at = time.monotonic() + seconds
    while True:
        _, body = await stage.call("GET", f"{CONNECT}/status/{request_id}")
        payload: dict[str, Any] = body["payload"]
        counts = dict(payload["counts"])
        if counts.pop("total") != sum(counts.values()):
            raise RuntimeError(f"the counts do not add up: {payload['counts']}")
        if payload["isCompleted"]:
            return payload
        if time.monotonic() > ends_at:
            causes = [(cause["code"], cause["protocol"], cause["count"]) for cause in payload["errorSummary"]]
            raise RuntimeError(f"{request_id} is not completed: {payload['counts']}, {causes}")
        await asyncio.sleep(0.5)


async def read_rows(stage: Stage, request_id: str) -> list[Row]:
    rows: list[Row] = []
    cursor = ""
    while True:
        query = f"?limit=1000&cursor={cursor}"
        _, body = await stage.call("GET", f"{CONNECT}/{request_id}/rows{query}")
        for item in body["payload"]["items"]:
            codes = tuple(side["code"] for side in (item["smtp"], item["imap"]) if side)
            rows.append(Row(item["emailAddress"], item["outcome"], codes, item["attempts"]))
        cursor = body["payload"]["nextCursor"]
        if not cursor:
            return rows
