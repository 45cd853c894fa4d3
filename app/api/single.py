"""I/O: one account, checked while the caller waits: a request of one row, on the same line as all others."""

import asyncio
from typing import Final

import msgspec
from aiohttp import web

from app.api.accept import Order, store_order
from app.api.answer import json_answer
from app.api.body import read_body
from app.api.connect import JSON
from app.api.context import API, CALLER, locate_status
from app.api.idempotency import REPLAYED, read_idempotency_key
from app.api.parameters import read_options, read_query
from app.api.problem import Fault, Problem
from app.intake.row import read_row
from app.model import Correction, RowError
from app.report.payload import render_single
from app.report.rows import list_corrections_of
from app.store.requests import get_request
from app.store.rows import RowResult, list_row_results

MOST_BYTES: Final = 256 * 1024


async def connect_one(http: web.Request) -> web.Response:
    """Check one account and answer how it ended; keep it when it works."""
    api = http.app[API]
    options = read_options(read_query(http.query, {"save", "onExisting", "autoCorrect"}))
    if http.content_type != JSON:
        raise Problem(415, "content-type", f"Content-Type {http.content_type} is not served here: send {JSON}.")
    body = await read_body(http, MOST_BYTES)
    row = read_row(_read_account(body), 1)
    if row.errors:
        words = " ".join(error.message for error in row.errors)
        faults = [Fault(error.field, error.code, error.message) for error in row.errors]
        raise Problem(422, "invalid-rows", words, faults=faults)
    workspace_id = http[CALLER].workspace_id
    order = Order(options, [[row]], 1, list(row.extra), read_idempotency_key(http, body), kind="single")
    made, is_replayed = await store_order(api, workspace_id, order, lambda *_: b"")
    request_id = made.request_id
    headers = {**locate_status(http, request_id), **(REPLAYED if is_replayed else {})}
    ends_at = asyncio.get_running_loop().time() + api.settings.check_timeout_seconds + api.single_spare_seconds
    while True:
        request = await get_request(api.db, workspace_id, request_id)
        if not request.counts.pending:
            break
        left = ends_at - asyncio.get_running_loop().time()
        if left <= 0 or api.is_leaving:
            words = "The account is still being checked. Its status tells how it ends."
            return json_answer({"message": words, "payload": {"requestId": str(request_id)}}, 202, headers)
        await api.watch.changed(request_id, request.version, request.state, left)
    (found,) = await list_row_results(api.db, request_id, limit=1)
    return json_answer(_render(found, str(request_id)), headers=headers)


def _render(found: RowResult, request_id: str) -> dict[str, object]:
    body = render_single(
        email=found.email,
        outcome=found.outcome,
        smtp=found.smtp,
        imap=found.imap,
        account_id=found.account_id,
        corrections=[
            Correction(entry["field"], entry["given"], entry["used"], entry["reason"])
            for entry in list_corrections_of(found)
        ],
        errors=[RowError(found.row, entry["field"], entry["code"], entry["message"]) for entry in found.errors],
    )
    payload = body["payload"]
    assert isinstance(payload, dict)
    return {**body, "payload": {"requestId": request_id, **payload}}


def _read_account(body: bytes) -> dict[str, object]:
    try:
        return msgspec.json.decode(body, type=dict[str, object])
    except msgspec.ValidationError:
        raise Problem(400, "body", "The body must be one account: a JSON object, as in {…}.") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Problem(400, "body", "The body is not JSON.") from None
