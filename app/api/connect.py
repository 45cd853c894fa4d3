"""I/O: POST a connect request: its body to rows, its rows to a request; place 2 on the line."""

import asyncio
import contextlib
import gc
from collections.abc import Iterator, Sequence
from typing import Any, Final

from aiohttp import web

from app.api.accept import Order, accept_order
from app.api.body import read_body
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
    key = read_idempotency_key(http, body)
    with _without_tidying():
        rows, columns = await _read_rows(http.content_type, body, settings.max_rows)
        del body
        return await accept_order(http, Order(options, rows, columns, key))


async def _read_rows(kind: str, body: bytes, most: int) -> tuple[list[Row], list[str]]:
    """Return the rows of a body and its unknown columns."""
    try:
        entries = _split(kind, body)
    except BodyError as error:
        raise Problem(400, "body", str(error)) from None
    if len(entries) > most:
        words = f"{len(entries)} rows are more than the {most} that one request may hold. Send several requests."
        raise Problem(413, "too-many-rows", words, extra={"limit": most})
    return await _in_turns(read_entries(entries))


def _split(kind: str, body: bytes) -> Sequence[Any]:
    if kind == JSON:
        return split_json_array(body)
    if kind == NDJSON:
        return split_ndjson(body)
    words = f"Content-Type {kind} is not served here: send {JSON} (an array) or {NDJSON} (one account a line)."
    raise Problem(415, "content-type", words)


async def _in_turns(slices: Iterator[list[Row]]) -> tuple[list[Row], list[str]]:
    """Read slice by slice, and let others have their turn between."""
    rows: list[Row] = []
    columns: dict[str, None] = {}
    seen: dict[str, int] = {}
    for part in slices:
        marked = mark_duplicates(part, seen)
        rows += marked
        columns |= dict.fromkeys(list_columns(marked))
        await asyncio.sleep(0)
    return rows, list(columns)


@contextlib.contextmanager
def _without_tidying() -> Iterator[None]:
    """Keep the garbage collector still: to look through 100,000 rows, none of which is garbage, stalls the loop."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
