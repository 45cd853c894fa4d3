"""I/O: POST a connect request: read, stored whole, the bell rung, answered; place 2 on the line."""

import asyncio
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from aiohttp import web

from app.api.answer import json_answer
from app.api.body import read_body
from app.api.context import API, CALLER, Api, base_url
from app.api.parameters import CONNECT_NAMES, read_options, read_query
from app.api.problem import Problem, faults_of
from app.enqueue import ring_drain, ring_report
from app.intake.body import BodyError, list_columns, mark_duplicates, read_entries, split_json_array, split_ndjson
from app.model import Counts, Options, Row, RowError
from app.report.payload import REJECTIONS_SHOWN, STATUS_PATH, render_accepted
from app.seal import new_data_key
from app.store.db import new_id
from app.store.requests import insert_request, sum_queued_rows

JSON: Final = "application/json"
NDJSON: Final = "application/x-ndjson"


async def connect(http: web.Request) -> web.Response:
    """Accept an array of accounts. When it is answered, the request is stored durably."""
    api = http.app[API]
    options = read_options(read_query(http.query, CONNECT_NAMES))
    body = await read_body(http, api.settings.max_body_bytes)
    rows, columns = await _read_rows(http.content_type, body, api.settings.max_rows)
    del body
    refuse_invalid(options, rows)
    request_id, counts = await accept(api, http[CALLER].workspace_id, options, rows, columns)
    answered = render_accepted(request_id, counts, list_rejections(rows), columns)
    return json_answer(answered, headers={"Location": f"{base_url(http)}{STATUS_PATH}{request_id}"})


async def accept(
    api: Api, workspace_id: UUID, options: Options, rows: Sequence[Row], columns: Sequence[str], **more: Any
) -> tuple[UUID, Counts]:
    """Store a request and ring the bell. `more`: as `insert_request` takes it.

    Raises:
        Problem: the workspace has too many rows waiting (429).
    """
    await _refuse_overload(api, workspace_id, len(rows))
    request_id = new_id()
    data_key = new_data_key()
    counts = await insert_request(
        api.db,
        request_id,
        workspace_id,
        options,
        rows,
        columns,
        data_key=data_key,
        wrapped_key=api.keyring.wrap(data_key),
        retention=timedelta(days=api.settings.retention_days),
        **more,
    )
    api.metrics.rows_accepted.inc(len(rows))
    await (ring_drain(api.queue, request_id) if counts.pending else ring_report(api.queue, request_id))
    return request_id, counts


def refuse_invalid(options: Options, rows: Sequence[Row]) -> None:
    """Refuse the whole request where it is strict and a row is invalid.

    Raises:
        Problem: naming the first rows and fields (422).
    """
    errors = [error for row in rows for error in row.errors] if options.is_strict else []
    if errors:
        count = len({error.row for error in errors})
        words = f"{count} of {len(rows)} rows are invalid, and the call says strict=true. Nothing was kept."
        raise Problem(422, "invalid-rows", words, faults=faults_of(errors[:REJECTIONS_SHOWN]))


def list_rejections(rows: Sequence[Row]) -> list[RowError]:
    """Return why rows will not be checked, in row order."""
    found: list[RowError] = []
    for row in rows:
        found += row.errors
        if row.duplicate_of and not row.errors:
            words = f"Row {row.duplicate_of} has the same mailbox; that one is checked."
            found.append(RowError(row.row, "smtpEmailAddress", "duplicate", words))
    return found


async def _read_rows(kind: str, body: bytes, most: int) -> tuple[list[Row], list[str]]:
    """Return the rows of a body and its unknown columns."""
    try:
        entries = _split(kind, body)
    except BodyError as error:
        raise Problem(400, "body", str(error)) from None
    if len(entries) > most:
        words = f"{len(entries)} rows are more than the {most} that one request may hold. Send several requests."
        raise Problem(413, "too-many-rows", words, extra={"limit": most})
    rows = mark_duplicates(await _in_turns(read_entries(entries)))
    return rows, list_columns(rows)


def _split(kind: str, body: bytes) -> Sequence[Any]:
    if kind == JSON:
        return split_json_array(body)
    if kind == NDJSON:
        return split_ndjson(body)
    words = f"Content-Type {kind} is not served here: send {JSON} (an array) or {NDJSON} (one account a line)."
    raise Problem(415, "content-type", words)


async def _in_turns(slices: Iterator[list[Row]]) -> list[Row]:
    """Read slice by slice, and let others have their turn between."""
    rows: list[Row] = []
    for part in slices:
        rows += part
        await asyncio.sleep(0)
    return rows


async def _refuse_overload(api: Api, workspace_id: UUID, count: int) -> None:
    most = api.settings.max_queued_rows
    queued = await sum_queued_rows(api.db, workspace_id)
    if queued + count > most:
        words = f"{queued} rows of this workspace wait already; with these it would be more than {most}. Try later."
        raise Problem(429, "queue-full", words, headers={"Retry-After": "60"}, extra={"limit": most, "queued": queued})
