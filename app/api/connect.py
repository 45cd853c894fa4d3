"""I/O: POST a connect request: its body to rows, its rows to a request; place 2 on the line."""

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any, Final

from aiohttp import web

from app.api.accept import Order, accept_order
from app.api.body import LARGE_BYTES, read_body
from app.api.context import API
from app.api.idempotency import read_idempotency_key
from app.api.parameters import CONNECT_NAMES, read_options, read_query
from app.api.problem import Problem
from app.intake.body import BodyError, list_columns, mark_duplicates, read_entries, split_json_array, split_ndjson
from app.model import Row

JSON: Final = "application/json"
NDJSON: Final = "application/x-ndjson"


async def connect(http: web.Request) -> web.Response:
    """Accept an array of accounts."""
    settings = http.app[API].settings
    options = read_options(read_query(http.query, CONNECT_NAMES))
    body = await read_body(http, settings.max_body_bytes)
    if len(body) > LARGE_BYTES:
        key = await asyncio.to_thread(read_idempotency_key, http, body)  # it hashes the body
    else:
        key = read_idempotency_key(http, body)
    entries = await _split_in_turns(http.content_type, body)
    del body
    if len(entries) > settings.max_rows:
        words = f"{len(entries)} rows are more than the {settings.max_rows} that one request may hold."
        raise Problem(413, "too-many-rows", f"{words} Send several requests.", extra={"limit": settings.max_rows})
    columns: dict[str, None] = {}
    return await accept_order(http, Order(options, _read_rows(entries, columns), len(entries), columns, key))


def _read_rows(entries: Sequence[Any], columns: dict[str, None]) -> Iterator[list[Row]]:
    """Yield rows, duplicates marked, and note their unknown columns."""
    first: dict[str, int] = {}
    for part in read_entries(entries):
        rows = mark_duplicates(part, first)
        columns |= dict.fromkeys(list_columns(rows))
        yield rows


async def _split_in_turns(kind: str, body: bytes) -> list[Any]:
    """Return the entries of a body, unread; others have their turn between its parts."""
    entries: list[Any] = []
    try:
        for part in _split(kind, body):
            entries += part
            await asyncio.sleep(0)
    except BodyError as error:
        raise Problem(400, "body", str(error)) from None
    return entries


def _split(kind: str, body: bytes) -> Iterator[Sequence[Any]]:
    if kind == JSON:
        return split_json_array(body)
    if kind == NDJSON:
        return split_ndjson(body)
    words = f"Content-Type {kind} is not served here: send {JSON} (an array) or {NDJSON} (one account a line)."
    raise Problem(415, "content-type", words)
